import package_ from "./index.cjs";

export const { DeniedError, Model, Reservation, Router, ServiceError, UnavailableError, runHeaders, runNow, withRun, wrapOpenAI } =
  package_;
