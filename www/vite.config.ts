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
  "react-router-dom": "window.ReactRouterDOM",
};

/** Emits the licence of the bundled chart library. */
const licences: Plugin = {
  name: "licences",
  generateBundle() {
    const source = "uPlot, which is part of scripts.js and styles.css:\n\n" +
      readFileSync(here("node_modules/uplot/LICENSE"), "utf8");
    this.emitFile({type: "asset", fileName: "licenses.txt", source});
  },
};

export default defineConfig({
  plugins: [licences],
  define: {"process.env.NODE_ENV": '"production"'},
  build: {
    lib: {entry: here("src/index.tsx"), name: "bbmeasurePage", formats: ["iife"]},
    rollupOptions: {
      external: Object.keys(provided),
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
  test: {environment: "node", include: ["tests/**/*.test.ts"]},
} as Parameters<typeof defineConfig>[0]);
