import * as React from "react";
import {Link} from "react-router-dom";
import {usePins} from "../hooks/usePins";
import {useQuery} from "../hooks/useQuery";
import {useInView} from "../hooks/useInView";
import type {Theme} from "../hooks/useTheme";
import {EVERY_PROPOSAL, getColumns, type Series} from "../lib/api";
import {groupIntoLines} from "../lib/lines";
import {findSeries} from "../lib/seriesList";
import {readSeriesState, resolveRange, seriesOfPath} from "../lib/urlState";
import {MiniChart} from "./MiniChart";
import {Failure, Loading, Name} from "./Basics";

/** Points of a pinned chart, the newest. */
const MAX_POINTS = 1_000;

/** What distinguishes a pinned chart from others of its series. */
function describe(state: ReturnType<typeof readSeriesState>): string {
  const tags = Object.entries(state.tags).map(([key, value]) => `${key}=${value}`);
  return [...state.builders, ...(state.branch === null ? [] : [state.branch]), ...tags].join(" · ");
}

const PinnedChart = ({route, all, theme, version, onRemove}: {
  route: string; all: readonly Series[]; theme: Theme; version: number; onRemove: () => void;
}) => {
  const [element, inView] = useInView<HTMLLIElement>();
  const [path, search = ""] = route.split("?") as [string, string?];
  const name = seriesOfPath(path) ?? "";
  const state = React.useMemo(() => readSeriesState(new URLSearchParams(search)), [search]);
  const series = findSeries(all, name, state);
  const range = resolveRange(state, React.useMemo(() => ({version, seconds: Date.now() / 1000}), [version]).seconds);
  const {data, error} = useQuery(inView && series ? JSON.stringify(["pinned", route]) : null, version, signal => getColumns(name, {
    kind: series!.ambiguous ? series!.kind : null, unit: series!.ambiguous ? series!.unit : null, since: range.since, until: range.until,
    builder: state.builders.length === 1 ? state.builders[0] : null, branch: state.branch, tags: state.tags,
    proposal: state.proposals ? EVERY_PROPOSAL : null,
  }, MAX_POINTS, false, signal));
  const lines = React.useMemo(() => groupIntoLines(data?.points ?? [])
    .filter(line => !state.builders.length || state.builders.includes(line.builder ?? "")), [data, state.builders]);
  const detail = describe(state);
  return (
    <li ref={element} className="bbm-card">
      <header className="bbm-card-head">
        <h3><Link to={route}><Name text={name} clamp/></Link></h3>
        <button type="button" className="bbm-button" onClick={onRemove} aria-label={`Unpin ${name}${detail && `, ${detail}`}`}>Unpin</button>
      </header>
      {detail && <p className="bbm-more bbm-clamp">{detail}</p>}
      {!series && <p className="bbm-note">There is no such series any more.</p>}
      {series && error && <Failure error={error}/>}
      {series && !data && !error && <Loading what="points"/>}
      {series && data && <MiniChart lines={lines} unit={series.unit} kind={series.kind} theme={theme} name={name}/>}
    </li>
  );
};

/** The charts that are pinned in this browser, as small multiples; nothing without any. */
export const Pinned = ({all, theme, version}: {all: readonly Series[]; theme: Theme; version: number}) => {
  const {pins, toggle} = usePins();
  return pins.length === 0 ? null : (
    <section aria-labelledby="bbm-pinned-title">
      <h2 id="bbm-pinned-title">Pinned</h2>
      <ul className="bbm-cards">
        {pins.map(route =>
          <PinnedChart key={route} route={route} all={all} theme={theme} version={version} onRemove={() => toggle(route)}/>)}
      </ul>
    </section>
  );
};
