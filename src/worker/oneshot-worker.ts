import type { Invocation, Outcome } from './invocation.ts';
import { OneshotRun } from './oneshot-run.ts';
import type { Waited, Worker, WorkerEnd, WorkerOptions, WorkerState } from './worker.ts';

/**
 * A place for a `oneshot` connector: each invocation is a process of its own, which reads one document from stdin, writes one to stdout
 * and exits. Between invocations there is no process, so it is ready at once and costs nothing.
 */
export class OneshotWorker implements Worker {
  readonly label = 'oneshot';
  readonly capacity = 1;
  readonly #options: WorkerOptions;
  readonly #end = Promise.withResolvers<WorkerEnd>();
  #run: OneshotRun | undefined;
  #phase: 'open' | 'closing' | 'closed' = 'open';
  #invocations = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  get state(): WorkerState {
    if (this.#phase !== 'open') return this.#phase;
    return this.#run === undefined ? 'ready' : 'busy';
  }

  get load(): number {
    return this.#run === undefined ? 0 : 1;
  }

  get invocations(): number {
    return this.#invocations;
  }

  get closed(): Promise<WorkerEnd> {
    return this.#end.promise;
  }

  invoke(invocation: Invocation, waited: Waited): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#invocations += 1;
      const run = new OneshotRun({ worker: this.#options, invocation, waited, resolve });
      this.#run = run;
      void run.finished.then(() => this.#rest());
    });
  }

  async close(): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'closing';
      this.#options.changed(this);
    }
    await this.#run?.finished;
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#options.changed(this);
    this.#end.resolve({ reason: 'was closed', isUnexpected: false });
  }

  kill(reason: string): void {
    this.#run?.kill(reason);
    void this.close();
  }

  #rest(): void {
    this.#run = undefined;
    this.#options.changed(this);
  }
}
