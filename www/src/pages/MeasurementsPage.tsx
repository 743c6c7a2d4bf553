import * as React from "react";
import {Link, useLocation} from "react-router-dom";
import {Empty, Failure, Loading, Name} from "../components/Basics";
import {useAnswer} from "../hooks/useAnswer";
import {useLive} from "../hooks/useLive";
import {useTheme} from "../hooks/useTheme";
import {seriesOfPath} from "../lib/address";
import {ApiError, getSeries} from "../lib/api";
import {ListPage} from "./ListPage";
import {SeriesPage} from "./SeriesPage";

/** The page: the list of series, or one of them. */
export const MeasurementsPage = () => {
  const theme = useTheme("page");
  const live = useLive();
  const [attempt, setAttempt] = React.useState(0);
  const version = live + attempt;
  const name = seriesOfPath(useLocation().pathname);
  const {data, error} = useAnswer("series", version, getSeries);
  const series = name === null ? null : data?.find(each => each.name === name);

  let body: React.ReactNode;
  if (error && !data) {
    const missing = error instanceof ApiError && error.status === 404;
    body = missing
      ? <Empty><p>This Buildbot keeps no measurements.</p></Empty>
      : <Failure error={error} retry={() => setAttempt(attempt + 1)}/>;
  } else if (!data) {
    body = <Loading what="measurements"/>;
  } else if (name === null) {
    body = <ListPage all={data} version={version}/>;
  } else if (series) {
    const held = series.count + (series.last ?? 0);  // builds of others end too: only new points are worth asking for
    body = <SeriesPage key={series.name} series={series} theme={theme} version={held + attempt}/>;
  } else {
    body = (
      <Empty>
        <p>There is no series named <strong><Name text={name}/></strong>, or none of it may be shown to you.</p>
        <p><Link to="/measurements">All measurements</Link></p>
      </Empty>
    );
  }
  return (
    <main className="bbm bbm-page" data-theme={theme}>
      {error && data && <p className="bbm-note bbm-failure" role="alert">Not up to date: {error.message}</p>}
      {body}
    </main>
  );
};
