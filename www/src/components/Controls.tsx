import * as React from "react";
import type {Range} from "../lib/urlState";
import {isolateDirection, truncate} from "../lib/format";
import {urlTime, inputTime, parseTime} from "../lib/time";

const PRESETS: readonly [string | null, string][] = [
  ["24h", "24 h"], ["7d", "7 d"], ["30d", "30 d"], ["90d", "90 d"], ["1y", "1 y"], [null, "All"],
];

interface RangeProps {
  legend: string;
  range: Range;
  now: number;
  onChange: (range: Range) => void;
}

/** Picker of a time range: a preset, or a start and an end. */
export const RangePicker = ({legend, range, now, onChange}: RangeProps) => {
  const field = (text: string | null) => {
    const time = text === null ? null : parseTime(text, now);
    return time === null ? "" : inputTime(time);
  };
  const read = (value: string) => {
    const time = value ? Date.parse(value) / 1000 : NaN;
    return Number.isFinite(time) ? urlTime(time) : null;
  };
  return (
    <fieldset className="bbm-group">
      <legend>{legend}</legend>
      <span className="bbm-buttons">
        {PRESETS.map(([since, label]) => {
          const chosen = range.until === null && range.since === since;
          return (
            <button type="button" key={label} className="bbm-button" aria-pressed={chosen}
                    onClick={() => onChange({since, until: null})}>{label}</button>
          );
        })}
      </span>
      <span className="bbm-ends">
        <label>from <input type="datetime-local" className="bbm-field" value={field(range.since)}
                           onChange={event => onChange({...range, since: read(event.target.value)})}/></label>
        <label>to <input type="datetime-local" className="bbm-field" value={field(range.until)}
                         onChange={event => onChange({...range, until: read(event.target.value)})}/></label>
      </span>
    </fieldset>
  );
};

interface SelectProps {
  label: string;
  value: string | null;
  choices: readonly string[];
  any: string | null;
  onChange: (value: string | null) => void;
  nameOf?: (choice: string) => string;
}

/** A form field with a label. */
export const LabelledField = ({label, grow = false, children}: {
  label: string; grow?: boolean; children: (id: string) => React.ReactNode;
}) => {
  const id = React.useId();
  return (
    <span className={grow ? "bbm-labelled bbm-grow" : "bbm-labelled"}>
      <label htmlFor={id}><bdi>{label}</bdi></label>
      {children(id)}
    </span>
  );
};

/** Drop-down list of one choice, or none. */
export const Select = ({label, value, choices, any, onChange, nameOf = choice => choice}: SelectProps) => (
  <LabelledField label={label}>{id => (
    <select id={id} className="bbm-field" value={value ?? ""} onChange={event => onChange(event.target.value || null)}>
      {(any !== null || value === null) && <option value="">{any ?? "choose…"}</option>}
      {value !== null && !choices.includes(value) && <option value={value}>{isolateDirection(truncate(nameOf(value)))}</option>}
      {choices.map(choice => <option key={choice} value={choice}>{isolateDirection(truncate(nameOf(choice)))}</option>)}
    </select>
  )}</LabelledField>
);

interface MultiSelectProps {
  label: string;
  chosen: readonly string[];
  choices: readonly string[];
  onChange: (chosen: string[]) => void;
}

const MAX_OPTIONS = 200;

/** Drop-down list of several choices, with a search field. */
export const MultiSelect = ({label, chosen, choices, onChange}: MultiSelectProps) => {
  const [search, setSearch] = React.useState("");
  const box = React.useRef<HTMLDetailsElement>(null);
  const found = choices.filter(choice => choice.toLowerCase().includes(search.toLowerCase())).slice(0, MAX_OPTIONS);
  const toggle = (choice: string) =>
    onChange(chosen.includes(choice) ? chosen.filter(name => name !== choice) : [...chosen, choice]);
  const close = (event: React.KeyboardEvent) => {
    if (event.key === "Escape" && box.current?.open) {
      box.current.open = false;
      box.current.querySelector("summary")?.focus();
    }
  };
  React.useEffect(() => {
    const closeOnOutsideClick = (event: MouseEvent) => {
      if (box.current?.open && !box.current.contains(event.target as Node)) {
        box.current.open = false;
      }
    };
    document.addEventListener("mousedown", closeOnOutsideClick);
    return () => document.removeEventListener("mousedown", closeOnOutsideClick);
  }, []);
  return (
    <details className="bbm-drop" ref={box} onKeyDown={close}>
      <summary className="bbm-button">
        {label}: {chosen.length === 0 ? `all ${choices.length}` : `${chosen.length} of ${choices.length}`}
      </summary>
      <div className="bbm-drop-body">
        {choices.length > 8 && (
          <input type="search" className="bbm-field" placeholder="find…" aria-label={`Find among ${label}`} value={search}
                 onChange={event => setSearch(event.target.value)}/>
        )}
        {chosen.length > 0 && <button type="button" className="bbm-button" onClick={() => onChange([])}>All</button>}
        {found.map(choice => (
          <label key={choice} className="bbm-check">
            <input type="checkbox" checked={chosen.includes(choice)} onChange={() => toggle(choice)}/>
            <bdi className="bbm-name bbm-clamp" title={choice}>{choice}</bdi>
          </label>
        ))}
      </div>
    </details>
  );
};

export const Checkbox = ({label, checked, onChange}: {label: string; checked: boolean; onChange: (on: boolean) => void}) => (
  <label className="bbm-check">
    <input type="checkbox" checked={checked} onChange={event => onChange(event.target.checked)}/> {label}
  </label>
);
