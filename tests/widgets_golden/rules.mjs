// Runs the arithmetic of the memory bench on cases that Python made.
export const run = (rules, cases) =>
  cases.map(({ W, q, k, v, beta, alpha, rule }) => {
    const step = rules.gatedDeltaStep(W, q, k, v, beta, alpha);
    return {
      write: rules.write(W, k, v),
      read: rules.read(W, q),
      delta: rules.deltaStep(W, q, k, v, beta).W,
      gated: step.W,
      y: step.y,
      store: rules.store(W, k, v, { rule, beta, alpha }),
      overwrite: rules.overwrite(W, k, v),
      unit: rules.unit(k),
    };
  });
