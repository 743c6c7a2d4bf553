import {readFileSync} from "node:fs";
import {fileURLToPath} from "node:url";
import {defineConfig, type Plugin} from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Modules that Buildbot's own page provides, and their globals. */
const provided = {
  "buildbot-data-js": "window.BuildbotDataJs",
  "buildbot-plugin-support": "window.BuildbotPluginSupport",
  "buildbot-ui": "window.BuildbotUi",
  "react": "window.React",
  "react-dom": "window.ReactDOM",
  "react-router-dom": "window.ReactRouterDOM",
};

/** The libraries that are part of the bundle. */
const bundled = ["uplot", "@tanstack/react-query", "@tanstack/query-core"];

/** Emits the licences of the bundled libraries. */
const licences: Plugin = {
  name: "licences",
  generateBundle() {
    const source = bundled.map(name => {
      const licence = readFileSync(here(`node_modules/${name}/LICENSE`), "utf8");
      return `${name}, which is part of scripts.js or styles.css:\n\n${licence}`;
    }).join("\n\n");
    this.emitFile({type: "asset", fileName: "licenses.txt", source});
  },
};

/**
 * Makes uPlot create its formatter of numbers, and ask for the time zone, only when they are used.
 *
 * Our charts format numbers and times themselves; loading the browser's data for both takes milliseconds, at each load of
 * each of Buildbot's pages.
 */
const lazyFormatters: Plugin = {
  name: "lazy-formatters",
  transform(code, id) {
    if (!/uplot[\\/]dist[\\/]uPlot\.esm\.js$/i.test(id)) {
      return undefined;
    }
    const changed = code
      .replace(/const numFormatter = (new Intl\.NumberFormat\(.*\));/, "const numFormatter = {format: val => $1.format(val)};")
      .replace(/const localTz = (new Intl\.DateTimeFormat\(\).*);/, "const localTz = {toString: () => $1};")
      .replace("tz == localTz", "tz == String(localTz)");
    if ([...changed.matchAll(/numFormatter = \{|localTz = \{|String\(localTz\)/g)].length !== 3) {
      this.error("uPlot creates its formatters in another way");
    }
    return {code: changed, map: null};
  },
};

export default defineConfig({
  plugins: [licences, lazyFormatters],
  resolve: {alias: {"react/jsx-runtime": here("src/lib/jsxRuntime.ts")}},
  define: process.env.VITEST ? {} : {"process.env.NODE_ENV": '"production"'},
  build: {
    lib: {entry: here("src/index.tsx"), name: "bbmeasurePage", formats: ["iife"]},
    rollupOptions: {
      external: Object.keys(provided),
      onwarn: (warning, warn) => warning.code === "MODULE_LEVEL_DIRECTIVE" || warn(warning),  // "use client" of a library
      output: {
        globals: provided,
        entryFileNames: "scripts.js",
        assetFileNames: "styles.css",
        interop: "esModule",
        // The AngularJS page of Buildbot 3 loads plugins too.  It provides none of these modules, and renders nothing
        // unless each plugin defines an Angular module of its name.
        intro: 'if (!window.BuildbotPluginSupport) { window.angular?.module("bbmeasure", []); return; }',
      },
    },
    target: "es2020",
    outDir: here("../bbmeasure/master/www/static"),
    emptyOutDir: true,
    reportCompressedSize: true,
  },
  test: {
    environment: "jsdom",
    pool: "vmThreads",  // each file in a context of its own; jsdom is loaded once for each processor, not for each file
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/setup.ts"],
    alias: {
      "buildbot-ui": here("tests/buildbotUi.ts"), "buildbot-data-js": here("tests/buildbotData.ts"),
      "buildbot-plugin-support": here("tests/buildbotPluginSupport.ts"),
    },
  },
} as Parameters<typeof defineConfig>[0]);
