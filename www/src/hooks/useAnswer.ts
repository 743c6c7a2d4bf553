import * as React from "react";

export interface Answer<Data> {
  data: Data | null;
  error: Error | null;
  loading: boolean;
}

/**
 * What `ask` answers, asked again whenever `key` changes or `version` does.
 *
 * A new `key` is a new question: what the old one answered is dropped.  A new `version` is the same question again: the
 * old answer stays until the new one is there.  Answers to questions that nobody asks any more are aborted.
 */
export function useAnswer<Data>(key: string | null, version: number, ask: (signal: AbortSignal) => Promise<Data>) {
  const [answer, setAnswer] = React.useState<Answer<Data> & {key: string | null}>(
    {key: null, data: null, error: null, loading: true});
  const question = React.useRef(ask);
  question.current = ask;

  React.useEffect(() => {
    if (key === null) {
      return undefined;
    }
    const controller = new AbortController();
    setAnswer(old => ({key, data: old.key === key ? old.data : null, error: null, loading: true}));
    question.current(controller.signal).then(
      data => !controller.signal.aborted && setAnswer({key, data, error: null, loading: false}),
      error => !controller.signal.aborted && setAnswer(old =>
        ({key, data: old.key === key ? old.data : null, error: error as Error, loading: false})),
    );
    return () => controller.abort();
  }, [key, version]);

  return key !== null && answer.key === key ? answer : {data: null, error: null, loading: key !== null};
}
