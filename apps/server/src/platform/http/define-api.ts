// Operations as data: one declaration gives types, validation, enforcement, OpenAPI and the SDK.
// Knows no permission, caller or failure code of its own: `access` closes `defineApi` over ours.

import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { StreamReply } from './sse.ts';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Who may call besides the named permissions: nobody checked, the run itself, any valid credential. */
export type AccessRule<Permission extends string> =
  | 'public'
  | 'run_token'
  | 'authenticated'
  | Permission;

export interface RateLimitRule {
  readonly requests: number;
  readonly window_secs: number;
}

export interface OperationSpec<Permission extends string = string, Code extends string = string> {
  /** Unique; equals `operationId` of the reference contract where that has the operation. */
  readonly id: string;
  /** `namespace.function` in the TypeScript SDK. */
  readonly sdk?: string;
  readonly method: HttpMethod;
  /** Fastify style: `/v1/jobs/:jobID`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly permission: AccessRule<Permission>;
  /** Enough as well to reach the handler, which then asks for the one that what it finds needs. */
  readonly or_permission?: Permission;
  /** `none`: the operation belongs to no single project. Public and run-token operations never have one. */
  readonly project?: 'required' | 'none';
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  /** Lower-case names; the schema sees only the headers it names. */
  readonly headers?: z.ZodType;
  /** Use `z.strictObject`, so that unknown members are refused; raw JSON is `z.unknown().optional()`. */
  readonly body?: z.ZodType;
  /** Default true when `body` is given. */
  readonly body_required?: boolean;
  /** Status → body schema; null = no body. With one entry the handler returns the body itself. */
  readonly replies: Readonly<Record<number, z.ZodType | null>>;
  /** Codes beyond those every route can answer with. */
  readonly failures: readonly Code[];
  /**
   * Successful calls per key or user; the internal secret alone is exempt. Off with the limit for
   * anonymous callers, unless `always_on`.
   */
  readonly rate_limit?: RateLimitRule & { readonly always_on?: boolean };
  /** Headers of every answer of the operation, refusals included. */
  readonly reply_headers?: (request: IncomingHttpHeaders) => Readonly<Record<string, string>>;
  /** The handler answers `streamReply(…)`; no request timeout. */
  readonly stream?: boolean;
  /** Accepts `?token=` as credential when no credential header is sent. */
  readonly token_in_query?: boolean;
  /** Content type of a text reply that is not JSON. */
  readonly raw?: string;
  /** Liveness and metrics: never counted by the limit for anonymous callers. */
  readonly uncounted?: boolean;
}

export interface RequestContext<Caller, Project> {
  readonly caller: Caller;
  readonly project: Project;
  readonly request_id: string;
  readonly ip: string;
  readonly user_agent: string;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client is gone, the request timed out or the server stops waiting. */
  readonly signal: AbortSignal;
}

const replyBrand: unique symbol = Symbol('reply');

export interface Reply<Status extends number = number, Body = unknown> {
  readonly [replyBrand]: true;
  readonly status: Status;
  readonly body: Body;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A reply with its status, for operations with more than one success status or extra headers. */
export function reply<const Status extends number, const Body>(
  status: Status,
  body: Body,
  headers?: Readonly<Record<string, string>>,
): Reply<Status, Body> {
  return { [replyBrand]: true, status, body, headers };
}

export function isReply(value: unknown): value is Reply {
  return typeof value === 'object' && value !== null && replyBrand in value;
}

/** Handlers may return frozen or shared data: nothing in a reply is ever written to. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

type BodyOf<Schema> = Schema extends z.ZodType
  ? DeepReadonly<z.input<Schema>>
  : null | undefined | void;
type Parsed<Spec, Part extends string> = Spec extends {
  readonly [Key in Part]: infer Schema extends z.ZodType;
}
  ? z.output<Schema>
  : undefined;
type IsUnion<T, Whole = T> = T extends unknown ? ([Whole] extends [T] ? false : true) : never;

export type InputOf<Spec extends OperationSpec> = {
  readonly params: Parsed<Spec, 'params'>;
  readonly query: Parsed<Spec, 'query'>;
  readonly headers: Parsed<Spec, 'headers'>;
  readonly body: Spec extends { readonly body_required: false }
    ? Parsed<Spec, 'body'> | undefined
    : Parsed<Spec, 'body'>;
};

type AnyReply<Replies> = {
  [Status in keyof Replies & number]: Reply<Status, BodyOf<Replies[Status]>>;
}[keyof Replies & number];

export type ResultOf<Spec extends OperationSpec> = Spec extends { readonly stream: true }
  ? StreamReply
  : Spec extends { readonly raw: string }
    ? string | Reply<number, string>
    :
        | AnyReply<Spec['replies']>
        | (IsUnion<keyof Spec['replies']> extends true
            ? never
            : BodyOf<Spec['replies'][keyof Spec['replies'] & number]>);

type CallerOf<Spec, Caller, RunCaller> = Spec extends { readonly permission: 'public' }
  ? Caller | undefined
  : Spec extends { readonly permission: 'run_token' }
    ? RunCaller
    : Caller;
type ProjectOf<Spec, Project> = Spec extends
  | { readonly permission: 'public' | 'run_token' }
  | { readonly project: 'none' }
  ? undefined
  : Project;

export type HandlerOf<Spec extends OperationSpec, Caller, Project, RunCaller = Caller> = (
  context: RequestContext<CallerOf<Spec, Caller, RunCaller>, ProjectOf<Spec, Project>>,
  input: InputOf<Spec>,
) => Promise<ResultOf<Spec>> | ResultOf<Spec>;

/** An operation with its handler, types erased: what the host registers. */
export interface Binding<Caller = unknown, Project = unknown> {
  readonly operation: OperationSpec;
  readonly handle: (
    context: RequestContext<Caller | undefined, Project | undefined>,
    input: { params: unknown; query: unknown; headers: unknown; body: unknown },
  ) => unknown;
}

type OnlyKnownMembers<Spec> = Record<Exclude<keyof Spec, keyof OperationSpec>, never>;

/**
 * `operation` and `bind` closed over an application's permissions, failure codes, callers and project scope.
 * Handlers of `run_token` operations meet a `RunCaller`, all others a `Caller`.
 */
export function defineApi<
  Permission extends string,
  Code extends string,
  Caller,
  Project,
  RunCaller = Caller,
>() {
  return {
    operation<const Spec extends OperationSpec<Permission, Code>>(
      spec: Spec & OnlyKnownMembers<Spec>,
    ): Spec {
      return spec;
    },
    bind<const Spec extends OperationSpec<Permission, Code>>(
      operation: Spec,
      handle: NoInfer<HandlerOf<Spec, Caller, Project, RunCaller>>,
    ): Binding<Caller | RunCaller, Project> {
      return { operation, handle: handle as Binding<Caller | RunCaller, Project>['handle'] };
    },
  };
}
