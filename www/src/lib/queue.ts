/** Lets `most` jobs run at once; the others wait in the order they came.  A job that is aborted while it waits is dropped. */
export class Queue {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly most: number) {}

  async run<Result>(job: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    if (this.running >= this.most) {
      await new Promise<void>(resolve => this.waiting.push(resolve));
    } else {
      this.running += 1;
    }
    try {
      signal?.throwIfAborted?.();
      return await job();
    } finally {
      const next = this.waiting.shift();
      if (next) {
        next();
      } else {
        this.running -= 1;
      }
    }
  }
}

/** For the small charts of a list: they may not hold up the rest of the page, nor the master. */
export const sparkQueue = new Queue(4);
