import * as React from "react";
import {fireEvent, render, screen, waitFor} from "@testing-library/react";
import {MemoryRouter} from "react-router-dom";
import {describe, expect, test, vi} from "vitest";
import {ImprovedLately, NeedsAttention} from "../src/components/AlertSections";
import {AlertTable} from "../src/components/AlertTable";
import {alertLabels, alertOfChange, alertRoute, byUrgency, groupAlerts, seriesOfAlerts, withAlerts} from "../src/lib/alerts";
import type {Alert} from "../src/lib/api";
import {queryClient} from "../src/hooks/useQuery";
import {columns, point, serve, START, styled} from "./examples";

const alert = (more: Partial<Alert> = {}): Alert => ({
  id: 1, series: "size", kind: "size", unit: "bytes", better: "lower", builder: "linux", branch: "main", tags: {}, machine_class: "bot1",
  rule: "shift", bound: null, outcome: "worse", before: 1000, after: 1300, change: 0.3, state: "open", build: 7, buildid: 107, time: START,
  reason: "", suspects: [], differs: {}, by: null, why: null, until: null, ...more,
});

const page = (content: React.ReactElement) => render(<MemoryRouter>{content}</MemoryRouter>);

function signIn(): void {
  vi.stubGlobal("buildbotFrontendConfig", {user: {username: "ann"}});
}

describe("alerts", () => {
  test("are ordered by their change, muted ones last", () => {
    const all = [alert({id: 1, change: 0.1}), alert({id: 2, change: -0.9, until: START}), alert({id: 3, change: 0.5}), alert({id: 4, change: null})];
    expect(all.sort(byUrgency).map(({id}) => id)).toEqual([4, 3, 1, 2]);
  });

  test("lead to their line alone", () => {
    expect(alertRoute(alert({tags: {part: "x"}}))).toBe("/measurements/size?builder=linux&branch=main&kind=size&unit=bytes&tag.part=x");
  });

  test("of one series are a group if their suspects are the same commits", () => {
    const suspects = [{revision: "b"}, {revision: "a"}];
    const groups = groupAlerts([
      alert({id: 1, suspects}), alert({id: 2}), alert({id: 3, suspects: [...suspects].reverse(), builder: "mac"}), alert({id: 4}),
      alert({id: 5, suspects: [{revision: "a"}]}), alert({id: 6, suspects, series: "time"}), alert({id: 7, suspects, outcome: "changed"}),
      alert({id: 8, suspects, until: START}),
    ]);
    expect(groups.map(({alerts}) => alerts.map(({id}) => id))).toEqual([[1, 3], [2], [4], [5], [6], [7], [8]]);
    expect(new Set(groups.map(({key}) => key)).size).toBe(7);
  });

  test("of a group are named by what differs, and lead to what they have in common", () => {
    const [linux, mac, next] = [alert(), alert({builder: "mac"}), alert({branch: "next"})];
    expect(alertLabels([linux, mac])).toEqual(["linux", "mac"]);
    expect(alertLabels([linux, next])).toEqual(["main", "next"]);
    expect(alertLabels([linux, alert({machine_class: "bot2"})])).toEqual(["bot1", "bot2"]);
    expect(seriesOfAlerts([linux, mac])).toBe("/measurements/size?branch=main&kind=size&unit=bytes");
    expect(seriesOfAlerts([linux, next])).toBe("/measurements/size?kind=size&unit=bytes");
  });

  test("belong to a drawn change of the same line that is at most eight builds away", () => {
    const change = {
      at: START, before: 1, after: 2, change: 1, build: 9, buildid: 109, revision: null, previous_build: 8, previous_buildid: 108, previous_revision: null,
    };
    const line = styled([point(0, 1)]);
    const all = [alert({id: 1, build: 5}), alert({id: 2, build: 8}), alert({id: 3, build: 9, branch: "next"}), alert({id: 4, build: 90})];
    expect(alertOfChange(all, line, change)?.id).toBe(2);
    expect(alertOfChange([all[2]!, all[3]!], line, change)).toBeNull();
  });

  test("are changes of their line that the look-back has not found", () => {
    const line = styled([point(0, 1)]);
    const [found, other] = [withAlerts(line, [alert({build: 20})]), withAlerts(line, [alert({builder: "windows"})])];
    expect(found.analysis!.changes).toMatchObject([{at: START, before: 1000, after: 1300, build: 20}]);
    expect(other.analysis).toBeNull();
    const [same] = withAlerts(found, [alert({build: 22, after: 1310, change: 0.31})]).analysis!.changes;
    expect(same).toMatchObject({build: 20, before: 1000, after: 1310, change: 0.31});
    expect(alertOfChange([alert({build: 20})], found, found.analysis!.changes[0]!)?.id).toBe(1);
  });
});

describe("the first screen", () => {
  test("has open alerts with a chart, suspects and the decision of a user who is signed in", async () => {
    signIn();
    const suspects = [{revision: "abcdef0123456", author: "Bob", subject: "Speed up", url: "javascript:alert(1)"}];
    const requested = serve({
      "state=open": {alerts: [alert({suspects})]}, points: columns([point(0, 1000), point(1, 1300)]), "alerts/1": alert({state: "accepted"}),
    });
    page(<NeedsAttention theme="light" version={1} now={START + 60}/>);
    await screen.findByText("Speed up");
    await screen.findByRole("img");
    expect(screen.getByRole("link").getAttribute("href")).toContain("/measurements/size?builder=linux");
    const accept = screen.getByRole<HTMLButtonElement>("button", {name: "Accept"});
    expect(accept.disabled).toBe(true);
    expect(screen.getByLabelText("Why").getAttribute("aria-describedby")).toBe(screen.getByText(/^Say why first/).id);
    fireEvent.change(screen.getByLabelText("Why"), {target: {value: "a new compiler"}});
    fireEvent.click(accept);
    await waitFor(() => expect(requested.some(url => url.endsWith("/alerts/1"))).toBe(true));
    await waitFor(() => expect(requested.filter(url => url.includes("state=open")).length).toBe(2));
  });

  const ofOneCommit = [1, 2, 3].map(id => alert({id, builder: `b${id}`, change: 0.3 + id / 100, suspects: [{revision: "abc", subject: "Speed up"}]}));

  test("has the alerts of one commit as one card, which decides each of them", async () => {
    signIn();
    let open = ofOneCommit;
    const posted: string[] = [];
    vi.stubGlobal("fetch", async (url: string, options: RequestInit = {}) => {
      if (options.method === "POST") {
        posted.push(`${url.slice(-8)} ${String(options.body)}`);
        const isAllowed = !url.endsWith("/2");
        open = isAllowed ? open.filter(({id}) => !url.endsWith(`/${id}`)) : open;
        return {ok: isAllowed, status: isAllowed ? 200 : 403, json: async () => ({message: "you may not decide"})};
      }
      return {ok: true, status: 200, json: async () => url.includes("points") ? columns([point(0, 1000), point(1, 1300)]) : {alerts: open}};
    });
    page(<NeedsAttention theme="light" version={1} now={START + 60}/>);
    await screen.findByText("+33 %");
    expect(screen.getByRole("heading", {level: 2}).textContent).toBe("Needs attention 1");
    expect(screen.getByText("+31 % to +33 %")).toBeTruthy();
    expect(screen.getAllByText("Speed up").length).toBe(1);
    const links = screen.getAllByRole("link").map(link => [link.textContent, link.getAttribute("href")]);
    expect(links).toEqual([
      ["size", "/measurements/size?branch=main&kind=size&unit=bytes"],
      ...[3, 2, 1].map(id => [`b${id}`, `/measurements/size?builder=b${id}&branch=main&kind=size&unit=bytes`]),
    ]);
    fireEvent.change(screen.getByLabelText("Why"), {target: {value: "fonts"}});
    fireEvent.click(screen.getByRole("button", {name: "Accept all 3"}));
    await screen.findByText("b2: you may not decide");
    expect(posted).toEqual([3, 2, 1].map(id => `alerts/${id} {"state":"accepted","why":"fonts"}`));
    await screen.findByRole("button", {name: "Accept"});
    expect(screen.getByText("b2: you may not decide")).toBeTruthy();
  });

  test("says that nothing needs attention, and that alerts could not be loaded", async () => {
    serve({"state=open": {alerts: []}});
    page(<NeedsAttention theme="light" version={1} now={START}/>);
    await screen.findByText(/no open alert/);
    queryClient.clear();
    serve({"state=open": new Error("away")});
    page(<NeedsAttention theme="light" version={2} now={START}/>);
    await screen.findByText("away");
  });

  test("has the improvements of the last days, and no section without any", async () => {
    serve({"state=accepted": {alerts: [alert({outcome: "better", state: "accepted"}), alert({id: 2, series: "other", state: "accepted"})]}, points: columns([])});
    page(<ImprovedLately theme="light" version={1} now={START}/>);
    await screen.findByText("size");
    expect(screen.queryByText("other")).toBeNull();
  });
});

test("the alerts of a series are notes with who accepted them and why; without a user there is no button", () => {
  vi.stubGlobal("buildbotFrontendConfig", {user: {anonymous: true}});
  page(<AlertTable alerts={[alert({state: "accepted", by: "ann", why: "new compiler"}), alert({id: 2, build: 9})]}/>);
  expect(screen.getByText("ann").closest("p")!.textContent).toBe("accepted by ann: new compiler");
  expect(screen.getByText(/Sign in/)).toBeTruthy();
  expect(screen.queryByRole("button")).toBeNull();
});
