import {describe, expect, test} from "vitest";
import {formatChange, formatValue, isolateDirection, truncate, unitName} from "../src/lib/format";
import cases from "./format_cases.json";
import changeCases from "./change_cases.json";

describe("formatValue", () => {
  test.each(cases as [number, string, string, string][])("writes %d %s %s as Python does: %s", (value, unit, kind, text) => {
    expect(formatValue(value, unit, kind)).toBe(text);
  });

  test("returns a text unchanged, and a dash for null", () => {
    expect(formatValue("<b>gcc</b>")).toBe("<b>gcc</b>");
    expect(formatValue(null)).toBe("–");
  });
});

describe("formatChange", () => {
  test.each(changeCases as [number, string][])("writes %d as Python does: %s", (change, text) => {
    expect(formatChange(change)).toBe(text);
  });

  test("returns a dash for no change", () => {
    expect(formatChange(null)).toBe("–");
  });
});

describe("names", () => {
  test("are cut between characters, never within a surrogate pair", () => {
    expect(truncate("𝒳".repeat(10), 4)).toBe("𝒳𝒳𝒳…");
    expect(truncate("short", 10)).toBe("short");
  });

  test("cannot change the writing direction of the text around them", () => {
    expect(isolateDirection("a\u202eb")).toBe("\u2068ab\u2069");
  });

  test("of units have no braces", () => {
    expect([unitName("{request}"), unitName("1"), unitName("1", "ratio"), unitName("s")]).toEqual(["request", "", "%", "s"]);
  });
});
