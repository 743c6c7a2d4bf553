import {describe, expect, test} from "vitest";
import {formatChange, formatValue, isolated, shortened, unitName} from "../src/lib/format";
import cases from "./format_cases.json";

describe("formatValue", () => {
  test.each(cases as [number, string, string, string][])("writes %d %s %s as Python does: %s", (value, unit, kind, text) => {
    expect(formatValue(value, unit, kind)).toBe(text);
  });

  test("gives a text back as it is, and a dash for nothing", () => {
    expect(formatValue("<b>gcc</b>")).toBe("<b>gcc</b>");
    expect(formatValue(null)).toBe("–");
  });
});

describe("formatChange", () => {
  test.each([
    [0.008, "+0.8 %"], [-0.12, "−12 %"], [0, "±0 %"], [0.0001, "<0.1 %"], [-0.0004, "<0.1 %"], [null, "–"],
    [2, "+200 %"], [25, "+2\u202f500 %"], [0.0999, "+10 %"], [-0.0994, "−9.9 %"],
  ] as const)("writes %s as %s", (change, text) => {
    expect(formatChange(change)).toBe(text);
  });
});

describe("names", () => {
  test("are cut by letters and never through one", () => {
    expect(shortened("𝒳".repeat(10), 4)).toBe("𝒳𝒳𝒳…");
    expect(shortened("short", 10)).toBe("short");
  });

  test("cannot turn the text around them round", () => {
    expect(isolated("a\u202eb")).toBe("\u2068ab\u2069");
  });

  test("of units lose their braces", () => {
    expect([unitName("{request}"), unitName("1"), unitName("1", "ratio"), unitName("s")]).toEqual(["request", "", "%", "s"]);
  });
});
