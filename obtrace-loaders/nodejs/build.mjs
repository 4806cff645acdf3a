// Bundles `src/` into one file: npm ci && node build.mjs OUT
import { build } from 'esbuild';
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [out] = process.argv.slice(2);
const bundle = join(out, 'obtrace-node.js');
// The bundle's copy of the OpenTelemetry API lives under a name of its own, or it would be the application's as well.
const KEY = 'opentelemetry.js.api.';
const OWN = 'obtrace.js.api.';

const result = await build({
  entryPoints: ['src/main.js'], bundle: true, platform: 'node', target: 'node18.19', minify: true, outfile: bundle, metafile: true, legalComments: 'none',
  mainFields: ['module', 'main'], conditions: ['module'],
  alias: { '@opentelemetry/instrumentation': './src/libraries/instrumentation.js' },
});
const text = readFileSync(bundle, 'utf8');
if (!text.includes(KEY)) throw new Error(`${KEY} is not in the bundle: the OpenTelemetry API has changed`);
writeFileSync(bundle, text.replaceAll(KEY, OWN));
copyFileSync('obtrace-loader.js', join(out, 'obtrace-loader.js'));
// A `package.json` at the root of an image (an application without a folder of its own) would make ES modules of our files.
writeFileSync(join(out, 'package.json'), '{"type":"commonjs"}\n');

// Whose code is in the bundle, and under which licence; a text that several share stands once.
const packages = new Set(Object.keys(result.metafile.inputs).map(file => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)).filter(Boolean).map(found => found[1]));
const licences = new Map();
for (const name of [...packages].sort()) {
  const folder = join('node_modules', name);
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).sort().find(it => /^licen[cs]e/i.test(it));
  if (!license || !file) throw new Error(`${name} has no licence`);
  const text = readFileSync(join(folder, file), 'utf8').trim();
  licences.set(text, [...(licences.get(text) || []), `${name} ${version} (${license})`]);
}
const parts = [...licences].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
writeFileSync(join(out, 'obtrace-node.LEGAL.txt'), parts.join(`\n${'-'.repeat(80)}\n\n`));
