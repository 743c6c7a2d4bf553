import * as React from "react";
import {Link} from "react-router-dom";
import {makeBuilderTable, type Cell} from "../lib/builderTable";
import {formatChange, formatValue} from "../lib/format";
import type {ListItem} from "../lib/seriesList";
import {seriesRoute} from "../lib/urlState";
import {Name} from "./Basics";

/** Spreads from which on a cell is marked. */
const UNUSUAL = 4;
const INITIAL_BUILDERS = 50;

const CellLink = ({item, builder, cell}: {item: ListItem; builder: string; cell: Cell}) => {
  const {row, change, deviation} = cell;
  const isUnusual = deviation !== null && Math.abs(deviation) >= UNUSUAL;
  const route = seriesRoute(row.series, {
    builder, ...(row.branch === null ? {} : {branch: row.branch}),
    ...(item.series.ambiguous ? {kind: row.kind, unit: row.unit} : {}),
  }, row.tags);
  return (
    <Link to={route} className={isUnusual ? "bbm-unusual" : undefined}
          title={`${formatValue(row.value, row.unit, row.kind)}; ${deviation === null ? "too few values" : `${deviation.toFixed(1)} spreads from its own median`}`}>
      {change === null ? formatValue(row.value, row.unit, row.kind) : formatChange(change)}
      {isUnusual && <span className="bbm-sr"> (unusual)</span>}
    </Link>
  );
};

/** Builders × series by the deviation of the newest value from the builder's own baseline. */
export const BuilderMatrix = ({items}: {items: readonly ListItem[]}) => {
  const table = React.useMemo(() => makeBuilderTable(items), [items]);
  const [limit, setLimit] = React.useState(INITIAL_BUILDERS);
  if (!table.builders.length) {
    return <p className="bbm-note">No builder has values of these series.</p>;
  }
  return (
    <>
      <p className="bbm-note">
        Change of the newest value from the builder’s own median; of several lines the one that is farthest off.
        Marked is what is {UNUSUAL} spreads off or more.
        {table.hidden > 0 && ` ${table.items.length} of ${table.items.length + table.hidden} series are shown, those that are farthest off.`}
      </p>
      <div className="bbm-scroll" tabIndex={0} role="region" aria-label="Builders and series">
        <table className="bbm-table bbm-matrix">
          <caption className="bbm-sr">Builders by series</caption>
          <thead>
            <tr>
              <th scope="col">Builder</th>
              {table.items.map(item => <th scope="col" key={item.key}><Name text={item.series.name} clamp/></th>)}
            </tr>
          </thead>
          <tbody>
            {table.builders.slice(0, limit).map(({name, cells}) => (
              <tr key={name}>
                <th scope="row"><Name text={name} clamp/></th>
                {cells.map((cell, index) => (
                  <td key={table.items[index]!.key}>
                    {cell ? <CellLink item={table.items[index]!} builder={name} cell={cell}/> : "–"}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {table.builders.length > limit && (
        <button type="button" className="bbm-button" onClick={() => setLimit(limit + 200)}>
          Show {Math.min(200, table.builders.length - limit)} more of {table.builders.length - limit} builders
        </button>
      )}
    </>
  );
};
