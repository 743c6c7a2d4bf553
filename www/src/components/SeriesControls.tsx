import * as React from "react";
import type {SeriesState} from "../lib/urlState";
import type {Series} from "../lib/api";
import {Checkbox, LabelledField, MultiSelect, RangePicker, Select} from "./Controls";

interface Props {
  series: Series;
  state: SeriesState;
  now: number;
  tagChoices: Readonly<Record<string, readonly string[]>>;
  branches: readonly string[];
  change: (next: Partial<SeriesState>) => void;
}

const COMPARISONS: readonly [string, string][] = [["", "nothing"], ["builder", "two builders"], ["range", "two ranges"]];

/** The form that selects what the chart and the tables of a series show. */
export const SeriesControls = ({series, state, now, tagChoices, branches, change}: Props) => {
  const mode = state.versus !== null ? "builder" : state.versusRange !== null ? "range" : "";
  const setMode = (next: string) => {
    const [first = null, second = null] = [...new Set([...state.builders, ...series.builders])];
    if (next === "builder") {
      change({builders: first === null ? [] : [first], versus: second ?? first, versusRange: null});
    } else if (next === "range") {
      change({versus: null, since: state.since ?? "30d", versusRange: {since: "60d", until: "30d"}});
    } else {
      change({versus: null, versusRange: null});
    }
  };
  const isText = series.kind === "text";
  const comparisons = series.builders.length < 2 ? COMPARISONS.filter(([value]) => value !== "builder") : COMPARISONS;
  return (
    <form className="bbm-controls" aria-label="What to show" onSubmit={event => event.preventDefault()}>
      <RangePicker legend="Range" range={state} now={now} onChange={range => change(range)}/>
      {mode === "builder" ? (
        <Select label="Builder" value={state.builders[0] ?? null} choices={series.builders} any={null}
                onChange={name => change({builders: name ? [name] : []})}/>
      ) : series.builders.length > 1 && (
        <MultiSelect label="Builders" chosen={state.builders} choices={series.builders}
                      onChange={builders => change({builders})}/>
      )}
      {(branches.length > 1 || state.branch !== null) && (
        <Select label="Branch" value={state.branch} choices={branches} any="all" onChange={branch => change({branch})}/>
      )}
      {Object.entries(tagChoices).map(([key, values]) => (
        <Select key={key} label={key} value={state.tags[key] ?? null} choices={values} any="all" onChange={value => {
          const {[key]: _, ...tags} = state.tags;
          change({tags: value === null ? tags : {...tags, [key]: value}});
        }}/>
      ))}
      {!isText && (
        <LabelledField label="Compare">{id => (
          <select id={id} className="bbm-field" value={mode} onChange={event => setMode(event.target.value)}>
            {comparisons.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </select>
        )}</LabelledField>
      )}
      {mode === "builder" && (
        <Select label="Compared with" value={state.versus} choices={series.builders} any={null}
                onChange={versus => change({versus})}/>
      )}
      {state.versusRange && (
        <RangePicker legend="Compared with" range={state.versusRange} now={now}
                     onChange={versusRange => change({versusRange})}/>
      )}
      {series.builders.length > 0 && (
        <span className="bbm-checks">
          <Checkbox label="Proposals" checked={state.proposals} onChange={proposals => change({proposals})}/>
        </span>
      )}
      {!isText && (
        <span className="bbm-checks">
          <Checkbox label="Band of median ± deviation" checked={state.band} onChange={band => change({band})}/>
          <Checkbox label="From zero" checked={state.fromZero} onChange={fromZero => change({fromZero})}/>
        </span>
      )}
    </form>
  );
};
