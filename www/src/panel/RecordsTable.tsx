import * as React from "react";
import {Link} from "react-router-dom";
import {Name, TagList, Value} from "../components/Basics";
import type {Build, Builder, BuildRecord} from "../lib/api";
import {formatChange, formatValue} from "../lib/format";
import {recordRoute} from "./recordRoute";
import {changeOf, groupRecords, recordKey} from "./records";

const WORDS: Readonly<Record<string, string>> = {no_baseline: "no baseline"};

interface Props {
  records: readonly BuildRecord[];
  build: Build;
  builder: Builder;
}

/** What is usual as a text: a range, one value, or the value before for what is not judged. */
function usualText({usual, previous, unit, kind}: BuildRecord): string {
  if (usual) {
    const [low, high] = usual.map(value => formatValue(value, unit, kind));
    return low === high ? low! : `${low} to ${high}`;
  }
  return previous === null ? "–" : formatValue(previous, unit, kind);
}

const Row = ({record, build, builder}: {record: BuildRecord; build: Build; builder: Builder}) => {
  const change = changeOf(record);
  const verdict = record.verdict ?? "";
  return (
    <tr>
      <th scope="row">
        <Link to={recordRoute(record, build, builder)}><Name text={record.series} clamp/></Link>
        <TagList tags={record.tags}/>
      </th>
      <td className="bbm-cell-previous">
        <span className="bbm-sr">{record.proposal ? "base " : "usual "}</span>
        {record.proposal && typeof record.baseline === "number"
          ? formatValue(record.baseline, record.unit, record.kind) : usualText(record)}
      </td>
      <td className="bbm-cell-value"><Value value={record.value} unit={record.unit} kind={record.kind}/></td>
      <td className={`bbm-cell-change bbm-told-${verdict}`}>{change === null ? "–" : formatChange(change)}</td>
      <td className="bbm-cell-verdict" title={record.reason ?? undefined}>
        <span className={`bbm-told-${verdict}`}>{WORDS[verdict] ?? (verdict || "not judged")}</span>
      </td>
    </tr>
  );
};

/** All records of a build in groups; of a proposal its base, this build, the change and the verdict. */
export const RecordsTable = ({records, build, builder}: Props) => {
  const isProposal = records.some(record => record.proposal);
  return (
    <>
      <table className="bbm-table bbm-records bbm-all-records">
        <caption className="bbm-sr">What this build measured, beside what is usual</caption>
        <thead>
          <tr>
            <th scope="col">Measurement</th>
            <th scope="col" className="bbm-cell-previous">{isProposal ? "Base" : "Usual"}</th>
            <th scope="col" className="bbm-cell-value">This</th>
            <th scope="col" className="bbm-cell-change">Change</th>
            <th scope="col" className="bbm-cell-verdict">Verdict</th>
          </tr>
        </thead>
        {groupRecords(records).map(({prefix, records: members}) => (
          <tbody key={`${prefix} ${members[0]!.kind}`}>
            {prefix && <tr className="bbm-group-row"><th scope="rowgroup" colSpan={5}>
              <Name text={prefix}/> <span className="bbm-note">{members.length}</span></th></tr>}
            {members.map((record, index) =>
              <Row key={`${recordKey(record)} ${index}`} record={record} build={build} builder={builder}/>)}
          </tbody>
        ))}
      </table>
      {isProposal && (
        <p className="bbm-note">
          A proposal has one build. It can show that a limit is passed, that a value is new where all before were equal, and
          what several measurements in one build confirm. Whether another unusual value stays, the next builds show.
        </p>
      )}
    </>
  );
};
