import * as React from "react";

export interface Answer<Data> {
  data: Data | null;
  error: Error | null;
  loading: boolean;
}

/**
 * What `ask` answers, asked again whenever `key` changes or `version` does.
 *
 * A new `key` is a new question: what the old one answered is dropped, unless it is to `linger` until the new answer is
 * there.  A new `version` is the same question again: the old answer stays meanwhile.  Questions that nobody asks any
 * more are aborted.
 */
export function useAnswer<Data>(
  key: string | null, version: number, ask: (signal: AbortSignal) => Promise<Data>, linger = false,
): Answer<Data> {
  const [answer, setAnswer] = React.useState<Answer<Data> & {key: string | null}>(
    {key: null, data: null, error: null, loading: true});
  const question = React.useRef(ask);
  const answered = React.useRef<string | null>(null);
  question.current = ask;

  React.useEffect(() => {
    if (key === null) {
      return undefined;
    }
    const controller = new AbortController();
    setAnswer(old => ({key, data: linger || old.key === key ? old.data : null, error: null, loading: true}));
    question.current(controller.signal).then(
      data => {
        if (!controller.signal.aborted) {
          answered.current = key;
          setAnswer({key, data, error: null, loading: false});
        }
      },
      error => !controller.signal.aborted && setAnswer(old =>
        ({key, data: answered.current === key ? old.data : null, error: error as Error, loading: false})),
    );
    return () => controller.abort();
  }, [key, version]);

  if (key !== null && answer.key === key) {
    return answer;
  }
  return {data: linger && key !== null ? answer.data : null, error: null, loading: key !== null};
}
