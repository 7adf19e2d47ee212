import type { AuditLog } from './audit.ts';
import type { Via } from './audit-record.ts';
import type { Decision } from './decide.ts';

export interface Denial {
  readonly decision: Extract<Decision, { verdict: 'deny' }>;
  readonly via: Via;
  readonly host: string;
  /** 0 when a name was only looked up. */
  readonly port: number;
  readonly serverName?: string;
}

export interface Denials {
  tell(denial: Denial): void;
  /** Records what was counted and not yet recorded. */
  flush(): void;
}

export interface DenialsOptions {
  readonly connector: string;
  readonly invocations: () => readonly string[];
  readonly audit: AuditLog;
  readonly onDenied: (denial: { message: string; host: string; port: number }) => void;
  readonly denialsPerMinuteMax: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * Puts every denial into the audit log and before the worker. A flood is thinned to a count, since a connector could otherwise push older
 * records out of the rotated files.
 */
export function createDenials(options: DenialsOptions): Denials {
  const { connector, invocations, audit, onDenied, denialsPerMinuteMax, now = Date.now } = options;
  let windowStart = now();
  let told = 0;
  let suppressed = 0;
  let last: Denial | undefined;
  const record = (denial: Denial): void => {
    const { decision, via, host, port, serverName } = denial;
    const { verdict, reason, rule } = decision;
    const extra = {
      ...(rule === undefined ? {} : { rule }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(suppressed > 0 ? { suppressed } : {}),
    };
    suppressed = 0;
    // A denial that cannot be recorded is still a denial; the audit log counts it as lost.
    audit.append({ type: 'decision', connector, invocations: invocations(), via, host, port, verdict, reason, ...extra }).catch(() => {});
  };
  return {
    tell(denial) {
      if (now() - windowStart >= 60_000) {
        windowStart = now();
        told = 0;
      }
      last = denial;
      if (told >= denialsPerMinuteMax) {
        suppressed += 1;
        return;
      }
      told += 1;
      record(denial);
      onDenied({ message: denial.decision.message, host: denial.host, port: denial.port });
    },
    flush() {
      if (suppressed === 0 || !last) return;
      suppressed -= 1;
      record(last);
    },
  };
}
