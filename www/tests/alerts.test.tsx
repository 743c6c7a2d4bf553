import * as React from "react";
import {fireEvent, render, screen, waitFor} from "@testing-library/react";
import {MemoryRouter} from "react-router-dom";
import {describe, expect, test, vi} from "vitest";
import {ImprovedLately, NeedsAttention} from "../src/components/AlertSections";
import {AlertTable} from "../src/components/AlertTable";
import {alertOfChange, alertRoute, byUrgency, withAlerts} from "../src/lib/alerts";
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
