import * as React from "react";
import {Link, useLocation} from "react-router-dom";
import {Empty, Failure, Loading, Name} from "../components/Basics";
import {useQuery} from "../hooks/useQuery";
import {useFinishedBuilds} from "../hooks/useFinishedBuilds";
import {useTheme} from "../hooks/useTheme";
import {useTitle} from "../hooks/useTitle";
import {truncate} from "../lib/format";
import {findSeries} from "../lib/seriesList";
import {readSeriesState, seriesOfPath} from "../lib/urlState";
import {ApiError, getEverySeries, getSeries} from "../lib/api";
import {ListPage} from "./ListPage";
import {SeriesPage} from "./SeriesPage";

const UnknownSeries = ({name}: {name: string}) => {
  useTitle(truncate(name, 80));
  return (
    <Empty>
      <p>There is no series named <strong><Name text={name}/></strong>, or none of it may be shown to you.</p>
      <p><Link to="/measurements">All measurements</Link></p>
    </Empty>
  );
};

/** The Measurements page: the list of series, or one series. */
export const MeasurementsPage = () => {
  const theme = useTheme();
  const finishedBuilds = useFinishedBuilds();
  const [attempt, setAttempt] = React.useState(0);
  const version = finishedBuilds + attempt;
  const {pathname, search} = useLocation();
  const name = seriesOfPath(pathname);
  const {data, error} = useQuery("series", version, getSeries);
  const state = readSeriesState(new URLSearchParams(search));
  const listed = name === null || !data ? null : findSeries(data, name, state);
  const needsProposals = name !== null && data !== null && (state.proposals || !listed);
  const every = useQuery(needsProposals ? "series of proposals too" : null, version, getEverySeries);
  const series = name !== null && every.data ? findSeries(every.data, name, state) : listed;

  let body: React.ReactNode;
  if (error && !data) {
    const missing = error instanceof ApiError && error.status === 404;
    body = missing
      ? <Empty><p>This Buildbot keeps no measurements.</p></Empty>
      : <Failure error={error} retry={() => setAttempt(attempt + 1)}/>;
  } else if (!data || (needsProposals && !every.data && !every.error)) {
    body = <Loading what="measurements"/>;
  } else if (name === null) {
    body = <ListPage all={data} theme={theme} version={version}/>;
  } else if (series) {
    const dataVersion = series.count + (series.last ?? 0);  // reload only if this series has new points
    body = <SeriesPage key={JSON.stringify([series.name, series.kind, series.unit])} series={series} theme={theme} version={dataVersion + attempt}/>;
  } else {
    body = <UnknownSeries name={name}/>;
  }
  return (
    <main className="bbm bbm-page" data-theme={theme}>
      {error && data && <p className="bbm-note bbm-failure" role="alert">Not up to date: {error.message}</p>}
      {body}
    </main>
  );
};
