import {describe, expect, it} from "vitest";
import type {BuildRecord} from "../src/lib/api";
import {changeOf, groupRecords, missingRecords, otherCounts, toldRecords} from "../src/panel/records";

const record = (series: string, more: Partial<BuildRecord> = {}): BuildRecord => ({
  series, step: null, branch: "main", proposal: null, value: 110, unit: "1", kind: "number", better: "lower", previous: 100,
  change: 0.1, tags: {}, verdict: "normal", usual: [98, 102], baseline: 100, ...more,
});

describe("records of a build", () => {
  it("counts verdicts in words, without texts", () => {
    const records = [
      record("a"), record("b"), record("c", {verdict: "unconfirmed"}), record("d", {verdict: "no_baseline"}),
      record("e", {verdict: null}), record("f", {verdict: null, value: "gcc 13", kind: "text"}),
    ];
    expect(otherCounts(records)).toEqual(["1 unconfirmed", "2 normal", "1 without baseline", "1 not judged"]);
  });

  it("tells the worst first, and nothing that is better or not confirmed", () => {
    const records = [
      record("better", {verdict: "better"}), record("small", {verdict: "worse", value: 105}), record("unusual", {verdict: "unconfirmed"}),
      record("large", {verdict: "worse", value: 180}), record("zero", {verdict: "broken", value: 0}),
    ];
    expect(toldRecords(records).map(({series}) => series)).toEqual(["large", "small", "zero"]);
  });

  it("compares with what is usual, not with the build before", () => {
    expect(changeOf(record("a", {previous: 1}))).toBeCloseTo(0.1);
    expect(changeOf(record("a", {baseline: null}))).toBeNull();
    expect(changeOf(record("a", {baseline: 0}))).toBeNull();
  });

  it("groups by prefix and tags, people's own series before durations", () => {
    const duration = {kind: "duration", unit: "s"};
    const groups = groupRecords([
      record("build_duration", duration), record("size.b"), record("coverage"), record("size.a", {tags: {os: "linux"}}), record("size.a"),
      record("lines", {tags: {language: "Shell"}}), record("lines", {tags: {language: "C"}}),
    ]);
    expect(groups.map(({prefix, records}) => [prefix, records.map(({series}) => series)])).toEqual([
      ["", ["coverage"]], ["lines", ["lines", "lines"]], ["size", ["size.a", "size.a", "size.b"]], ["", ["build_duration"]],
    ]);
  });

  it("names what the build before has measured, whatever the result of the durations", () => {
    const before = [record("a"), record("b"), record("build_duration", {tags: {result: "success"}})];
    expect(missingRecords(before, [record("a"), record("build_duration", {tags: {result: "failure"}})])).toEqual(["b"]);
  });
});
