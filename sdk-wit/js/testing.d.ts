// Types of @tamis/plugin/testing.

import type { Plugin } from "@tamis/plugin";

/** A JSON event, and what the host knows beside it. */
export interface TestEvent {
  [key: string]: unknown;
  $meta?: {
    project_id?: number;
    category?: "error" | "transaction" | "span" | "log_item";
    event_id?: string;
    received_at?: number;
    environment?: string;
    client_ip?: string;
    user_agent?: string;
    sdk?: string;
  };
  $trace?: { [key: string]: unknown };
}

/** A filter: `"keep"` or `{ drop: "reason" }`. A sampler: `{ rate, rule? }`. A fingerprinter: a list of `{ kind, fingerprint }`. A scrubber: a
 * list of the edited leaves, `{ path, text, rules }`, where `text` is null if it was removed. */
export type Answer =
  | "keep"
  | { drop: string }
  | { rate: number; rule?: string }
  | { kind: string; fingerprint: string }[]
  | { path: string; text: string | null; rules: string[] }[];

/** Runs a plugin over a batch of events, and gives the answer for each. Throws what `init` throws, and what would end the call in a host. */
export function run(plugin: Plugin, events: TestEvent[], config?: unknown): Answer[];
