/** Bounds of what one source may say: what goes beyond becomes a Problem, so that no task can fill the gate's memory. */
export const LIMITS = Object.freeze({
  tasksPerSource: 250_000,
  problemsPerSource: 10_000,
  problemsPerTask: 64,
  servicesPerTask: 256,
  endpointsPerService: 10_000,
  endpointsPerTask: 20_000,
  exposuresPerService: 64,
  headersPerExposure: 8,
  grantsPerAccess: 1_000,
  labelsPerTask: 256,
  originsPerPolicy: 64,
});
