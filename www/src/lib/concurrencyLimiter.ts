/** Runs at most `limit` jobs concurrently, in order of arrival.  A job that is aborted while it is queued does not run. */
export class ConcurrencyLimiter {
  private running = 0;
  private readonly queue: (() => void)[] = [];

  constructor(private readonly limit: number) {}

  async run<Result>(job: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    if (this.running >= this.limit) {
      await new Promise<void>(resolve => this.queue.push(resolve));
    } else {
      this.running += 1;
    }
    try {
      signal?.throwIfAborted?.();
      return await job();
    } finally {
      const next = this.queue.shift();
      if (next) {
        next();
      } else {
        this.running -= 1;
      }
    }
  }
}

/** Requests for sparklines, limited so that they do not delay the page's other requests. */
export const sparklineRequests = new ConcurrencyLimiter(4);
