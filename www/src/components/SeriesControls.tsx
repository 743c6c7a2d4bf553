import * as React from "react";
import type {SeriesState} from "../lib/urlState";
import type {Series} from "../lib/api";
import {AXES, type AxisName} from "../lib/chartModel";
import {SCALES, type ScaleName} from "../lib/scale";
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

/** Drop-down list of choices that are always one of a few. */
const Choice = <Name extends string>({label, value, choices, onChange}: {
  label: string; value: Name; choices: readonly (readonly [Name, string])[]; onChange: (value: Name) => void;
}) => (
  <LabelledField label={label}>{id => (
    <select id={id} className="bbm-field" value={value} onChange={event => onChange(event.target.value as Name)}>
      {choices.map(([name, caption]) => <option key={name} value={name}>{caption}</option>)}
    </select>
  )}</LabelledField>
);

/** What the chart can be split by. */
function splitChoices({builders}: Series, branches: readonly string[], tags: readonly string[]): [string, string][] {
  return [
    ["", "one chart"],
    ...(builders.length > 1 ? [["builder", "builder"] as [string, string]] : []),
    ...(branches.length > 1 ? [["branch", "branch"] as [string, string]] : []),
    ...(builders.length ? [["machine", "worker"] as [string, string]] : []),
    ...tags.map(key => [`tag.${key}`, key] as [string, string]),
  ];
}

/** What is drawn, and on which axes. */
const ChartControls = ({series, state, tagChoices, branches, change}: Omit<Props, "now">) => (
  <>
    <Choice label="Split by" value={state.split ?? ""} choices={splitChoices(series, branches, Object.keys(tagChoices))}
            onChange={split => change({split: split || null})}/>
    <Choice<AxisName> label="Axis" value={state.axis} choices={AXES} onChange={axis => change({axis})}/>
    <Choice<ScaleName> label="Values" value={state.scale} choices={SCALES} onChange={scale => change({scale})}/>
    <span className="bbm-checks">
      <Checkbox label="Usual range" checked={state.band} onChange={band => change({band})}/>
      <Checkbox label="Rolling median" checked={state.smooth} onChange={smooth => change({smooth})}/>
      <Checkbox label="From zero" checked={state.fromZero} onChange={fromZero => change({fromZero})}/>
    </span>
  </>
);

/** The builders, and the ones or the range that they are compared with. */
const ComparisonControls = ({series, state, now, change}: Omit<Props, "tagChoices" | "branches">) => {
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
  const comparisons = series.builders.length < 2 ? COMPARISONS.filter(([value]) => value !== "builder") : COMPARISONS;
  return (
    <>
      <Choice label="Compare" value={mode} choices={comparisons} onChange={setMode}/>
      {mode === "builder" && (
        <>
          <Select label="Builder" value={state.builders[0] ?? null} choices={series.builders} any={null}
                  onChange={name => change({builders: name ? [name] : []})}/>
          <Select label="Compared with" value={state.versus} choices={series.builders} any={null}
                  onChange={versus => change({versus})}/>
        </>
      )}
      {state.versusRange && (
        <RangePicker legend="Compared with" range={state.versusRange} now={now}
                     onChange={versusRange => change({versusRange})}/>
      )}
    </>
  );
};

/** The form that selects what the chart and the tables of a series show. */
export const SeriesControls = ({series, state, now, tagChoices, branches, change}: Props) => {
  const isText = series.kind === "text";
  return (
    <form className="bbm-controls" aria-label="What to show" onSubmit={event => event.preventDefault()}>
      <RangePicker legend="Range" range={state} now={now} onChange={range => change(range)}/>
      {state.versus === null && series.builders.length > 1 && (
        <MultiSelect label="Builders" chosen={state.builders} choices={series.builders}
                      onChange={builders => change({builders, shown: null})}/>
      )}
      {(branches.length > 1 || state.branch !== null) && (
        <Select label="Branch" value={state.branch} choices={branches} any="all" onChange={branch => change({branch, shown: null})}/>
      )}
      {Object.entries(tagChoices).map(([key, values]) => (
        <Select key={key} label={key} value={state.tags[key] ?? null} choices={values} any="all" onChange={value => {
          const {[key]: _, ...tags} = state.tags;
          change({tags: value === null ? tags : {...tags, [key]: value}, shown: null});
        }}/>
      ))}
      {!isText && <ComparisonControls series={series} state={state} now={now} change={change}/>}
      {!isText && <ChartControls series={series} state={state} tagChoices={tagChoices} branches={branches} change={change}/>}
      {series.builders.length > 0 && (
        <span className="bbm-checks">
          <Checkbox label="Proposals" checked={state.proposals} onChange={proposals => change({proposals})}/>
        </span>
      )}
    </form>
  );
};
