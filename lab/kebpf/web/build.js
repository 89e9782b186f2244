// Bundles the page into PAGE_DIR (default: dist): four files, no address of anywhere else in them.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const out = process.env.PAGE_DIR ?? "dist";

mkdirSync(out, { recursive: true });
await build({
  entryPoints: { page: "src/page.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "inline",
});
await build({ entryPoints: { page: "src/page.css" }, outdir: out, minify: true });
for (const file of ["index.html", "icon.svg"]) copyFileSync(join("src", file), join(out, file));
