// The colours of matrices, on light and on dark pages.

// Blue for negative, orange for positive, paper for zero: safe for colour-blind eyes.
const RAMPS = {
  light: {
    minus: [
      [244, 246, 248],
      [79, 159, 208],
      [0, 86, 138],
    ],
    plus: [
      [244, 246, 248],
      [238, 138, 74],
      [192, 74, 0],
    ],
  },
  dark: {
    minus: [
      [37, 44, 54],
      [28, 82, 124],
      [62, 142, 196],
      [142, 203, 243],
    ],
    plus: [
      [37, 44, 54],
      [124, 64, 26],
      [214, 116, 54],
      [252, 184, 130],
    ],
  },
};

const NO_NUMBER = [96, 106, 118];

function along(stops, x) {
  const at = Math.min(x, 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  return stops[i].map((c, n) => Math.round(c + (stops[i + 1][n] - c) * (at - i)));
}

export const light = ([r, g, b]) => {
  const line = [r, g, b].map((c) =>
    c / 255 <= 0.04 ? c / 3295 : ((c / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2];
};

/** The colours of the widget as it stands, light or dark. */
export function skin(root) {
  const style = getComputedStyle(root);
  const named = (name) => style.getPropertyValue(`--fw-${name}`).trim();
  const ramp = RAMPS[root.hasAttribute("data-dark") ? "dark" : "light"];
  const tint = (x) =>
    Number.isFinite(x) ? along(x < 0 ? ramp.minus : ramp.plus, Math.abs(x)) : NO_NUMBER;
  return {
    ink: named("ink"),
    muted: named("muted"),
    line: named("line"),
    paper: named("paper"),
    plus: named("plus"),
    minus: named("minus"),
    font: style.fontFamily,
    tint,
    colour: (x) => `rgb(${tint(x).join(" ")})`,
  };
}
