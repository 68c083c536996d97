/** A decision of the service, as it travels. Money is in decimal strings. */
export interface Decision {
  allow: boolean;
  model: string | null;
  fallbacks: string[];
  rule: string;
  /** The shares that splits of the route drew, outermost first. */
  shares: string[];
  /** The ways out that were taken, since no candidate of a choice was left. */
  ways_out: ("cheapest" | "best" | "next" | "target")[];
  reasons: string[];
  calls: DecidedCall[];
  excluded: Excluded[];
  alerts: { budget: string; key: string; at: string; text: string }[];
  policy_digest: string;
  catalogue_digest: string;
}

/** What was decided of a batch's request, or its problems. Brief answers have no `decision`. */
export interface BatchItem {
  allow: boolean;
  model: string | null;
  fallbacks: string[];
  rule: string;
  decision: Decision | null;
  problems: string[];
}

export interface DecidedCall {
  model: string;
  provider: string | null;
  prompt: string | null;
  system: string | null;
  messages: Record<string, unknown>[] | null;
  params: Record<string, unknown>;
  estimate: Estimate;
  arguments: Record<string, any> | null;
}

export interface Estimate {
  cost_usd: string | null;
  worst_cost_usd: string | null;
  likely_cost_usd?: string | null;
  prompt_tokens: number;
  output_tokens: number;
  completions: number;
  basis: string;
}

export interface Excluded {
  model: string;
  reason: string;
  by: string | null;
}

export interface Charge {
  id: string;
  model: string;
  basis: string;
  cost_usd: string | null;
  usage: Record<string, number> | null;
  budgets: { budget: string; key: string; unit: string; amount: string; held: string }[];
  late: boolean;
  repeated: boolean;
  recorded: boolean;
  notes: string[];
}

export interface Spend {
  budget: string;
  key: string;
  unit: "usd" | "tokens" | "requests";
  used: string;
  held: string;
  limit: string | null;
  left: string | null;
  starts_at: string | null;
  resets_at: string | null;
  shadow: boolean;
  changed_by_hand: boolean;
}

export type Dialect = "openai-chat" | "openai-responses" | "anthropic" | "gemini" | "bedrock";
export type SdkDialect = "openai-chat" | "openai-responses" | "openai-embeddings" | "anthropic";

/** The attributes of a request, as the policy set declares them. `costBudget` and `cost_budget` are one. */
export interface Attributes {
  task?: string;
  prompt?: string;
  messages?: readonly unknown[];
  costBudget?: number;
  maxOutputTokens?: number;
  promptTokens?: number;
  team?: string;
  user?: string;
  [name: string]: unknown;
}

export interface RouterOptions {
  /** `http://host:port`, `https://…` or `unix:/path/of/the.sock`; by default `http://127.0.0.1:8181`. */
  url?: string;
  /** What `costlens-policy keys add` printed. */
  key?: string;
  /** Milliseconds for each attempt; by default 10,000. */
  timeout?: number;
  /** How often a request is repeated that met a service out of reach or too busy; by default 3. */
  retries?: number;
  /** Options of `https.Agent`, such as `ca`, `cert` and `key`. */
  tls?: Record<string, unknown>;
}

export interface ReserveOptions<D = Dialect> {
  /** The same id gives the same hold, however often it is asked for. */
  id?: string;
  /** How long the call stays held, such as `"10m"`. */
  lease?: string;
  dialect?: D;
}

export interface SettleOptions {
  /** Who answered, where that is not the first model of the decision. */
  model?: string;
  /** The text of the answer, or one for each, where no usage is known. */
  outputText?: string | string[];
  shape?: string;
}

export class Model {
  readonly name: string;
  readonly provider: string | null;
  readonly prompt: string | null;
  readonly system: string | null;
  readonly messages: Record<string, unknown>[] | null;
  readonly parameters: Record<string, unknown>;
  readonly arguments: Record<string, any> | null;
  readonly estimatedCost: number | null;
  readonly estimate: Estimate;
  readonly fallbacks: Model[];
  readonly decision: Decision | undefined;
}

export class Reservation {
  readonly id: string;
  readonly expiresAt: Date | null;
  readonly held: { budget: string; key: string; unit: string; amount: string }[];
  readonly decision: Decision;
  readonly model: Model;
  readonly charge: Charge | null;
  settle(usage?: unknown, options?: SettleOptions): Promise<Charge | null>;
  release(): Promise<void>;
  extend(lease?: string): Promise<void>;
}

export interface Batch {
  id: string;
  /** The items to send, by their ids. */
  calls: Record<string, { id: string; expires_at: string | null; held: Reservation["held"]; decision: Decision }>;
  /** Why each other item must not be sent. */
  refused: Record<string, { message: string; code: string; rule: string | null; budget: string | null; key: string | null }>;
}

export interface BatchSettled {
  id: string;
  charged: Record<string, Charge>;
  released: Record<string, string>;
  problems: string[];
}

export class Router {
  constructor(options?: RouterOptions);
  getOptimalModel(attributes: Attributes, options?: { dialect?: Dialect }): Promise<Model>;
  decide(attributes: Attributes, options?: { dialect?: Dialect }): Promise<Decision>;
  decideAll(
    requests: readonly Attributes[],
    options?: { dialect?: Dialect; brief?: boolean },
  ): Promise<BatchItem[]>;
  explain(attributes: Attributes): Promise<{ allow: boolean; decision: Record<string, any> }>;
  models(attributes: Attributes): Promise<{ may_serve: string[]; excluded: Excluded[] }>;
  reserve(attributes: Attributes, options?: ReserveOptions): Promise<Reservation>;
  reserveBody(
    body: object,
    options: ReserveOptions<SdkDialect> & { dialect: SdkDialect; attributes?: Attributes },
  ): Promise<Reservation>;
  settle(id: string, usage?: unknown, options?: SettleOptions): Promise<Charge>;
  submit(
    requests: Readonly<Record<string, Attributes>>,
    options: { id: string; lease?: string; whole?: boolean; dialect?: Dialect },
  ): Promise<Batch>;
  settleBatch(id: string, results: string | Iterable<unknown>): Promise<BatchSettled>;
  endRun(path: string): Promise<void>;
  release(id: string): Promise<void>;
  extend(id: string, lease?: string): Promise<Date | null>;
  spend(which?: { budget?: string; key?: string }): Promise<Spend[]>;
  policies(): Promise<Record<string, any>>;
  ready(): Promise<{ policy_digest: string; problems: string[] }>;
  close(): void;
}

export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
}

export class DeniedError extends ServiceError {
  readonly rule: string | null;
  readonly budget: string | null;
  readonly key: string | null;
  readonly resetsAt: Date | null;
  readonly unit: string | null;
  readonly used: string | null;
  readonly held: string | null;
  readonly limit: string | null;
  readonly holdEndsAt: Date | null;
  /** What of `held` waits for calls of others, where `code` is `share_refused`. */
  readonly setAside: string | null;
  /** The run that is over, if the call was refused for that. */
  readonly over: string | null;
  /** The id of the approval that the call needs; `costlens-policy budget approve ID` answers it. */
  readonly approval: string | null;
  readonly reasons: string[];
}

export class UnavailableError extends ServiceError {}

export interface WrapOptions {
  /** Who asks, for every call: attributes, or a function that returns those of the call under way. */
  attributes?: Attributes | (() => Attributes | Promise<Attributes>);
  /** What may be sent without being decided or counted: resources such as `"images"`, paths such as `"/rerank"`. */
  unguarded?: readonly string[];
  /** Charge attempts that failed and may have cost something at their worst, instead of giving back what they held. */
  chargeFailures?: boolean;
  /** How long calls stay held. */
  lease?: string;
}

/** Do some work as a run, whose calls belong to it; within another run it is a sub-agent of that. Returns what the work returns. */
export function withRun<T>(name: string | null | undefined, work: (path: string) => T, options?: { parent?: string }): T;

/** Return the path of the run of the code that asks. */
export function runNow(): string | undefined;

/** Return the headers that carry the run to another service, as W3C Baggage. */
export function runHeaders(): { baggage?: string };

/** Return a client of the `openai` package whose chat completions, responses and embeddings are guarded, all else refused. */
export function wrapOpenAI<Client extends object>(client: Client, router: Router, options?: WrapOptions): Client;
