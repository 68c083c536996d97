"use strict";

const { DeniedError, ServiceError, UnavailableError } = require("./lib/errors.cjs");
const { Model, Reservation, Router } = require("./lib/router.cjs");
const { runHeaders, runNow, withRun } = require("./lib/runs.cjs");
const { wrapOpenAI } = require("./lib/openai.cjs");

module.exports = { DeniedError, Model, Reservation, Router, ServiceError, UnavailableError, runHeaders, runNow, withRun, wrapOpenAI };
