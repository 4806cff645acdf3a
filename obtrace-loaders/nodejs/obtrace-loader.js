'use strict';
// What `NODE_OPTIONS=--require` (Bun: `--preload`) loads. Written in the syntax of 2009, so that no runtime in use stops at
// it; it decides whether anything happens at all, and loads the real file inside `try`. Contract: CONTRACT.md, sections 1-3.
(function () {
  var env = process.env;
  var fs = require('fs');
  var path = require('path');

  function on(value) { return !!value && !/^(0|false)$/i.test(value); }

  function aside(why) {
    if (on(env.OBTRACE_DEBUG)) { process.stderr.write('[obtrace] steps aside: ' + why + '\n'); }
  }

  // Package managers, by the name of the script that node was given.
  var TOOLS = /^(npm|npx|yarn|yarnpkg|pnpm|pnpx|corepack|bunx)(-cli|-[0-9.]+)?(\.c?js)?$/;
  // Agents and SDKs, by the package that an application depends on.
  var AGENTS = ['@opentelemetry/sdk-node', '@opentelemetry/sdk-trace', '@opentelemetry/sdk-trace-base', '@opentelemetry/sdk-trace-node',
    '@opentelemetry/auto-instrumentations-node', 'dd-trace', 'newrelic', 'elastic-apm-node', '@elastic/opentelemetry-node',
    '@dynatrace/oneagent', '@dynatrace/oneagent-sdk', 'appdynamics', '@instana/collector', 'skywalking-backend-js'];
  // The same in options such as `--require dd-trace/init` or `--import=newrelic/esm-loader.mjs`, wherever the files are.
  var OPTIONS = /@opentelemetry\/|opentelemetry-auto-instrumentation|dd-trace|newrelic|elastic-apm-node|@elastic\/|oneagent|appdynamics|@instana\/|instana|skywalking/;
  var MARK = '__obtraceLoader';

  function nodeModules(from, found) {
    for (var folder = from, last = ''; folder !== last; last = folder, folder = path.dirname(folder)) {
      var modules = path.join(folder, 'node_modules');
      if (found.indexOf(modules) < 0 && fs.existsSync(modules)) { found.push(modules); }
    }
    return found;
  }

  // pnpm keeps what nobody names at the top in `.pnpm/scope+name@version`.
  function inStore(modules) {
    var names;
    try { names = fs.readdirSync(path.join(modules, '.pnpm')); } catch (_) { return null; }
    for (var i = 0; i < names.length; i++) {
      for (var j = 0; j < AGENTS.length; j++) {
        if (names[i].indexOf(AGENTS[j].replace('/', '+') + '@') === 0) { return AGENTS[j]; }
      }
    }
    return null;
  }

  function agent() {
    var options = (env.NODE_OPTIONS || '') + ' ' + (process.execArgv || []).join(' ') + ' ' + (env.BUN_OPTIONS || '');
    var named = OPTIONS.exec(options);
    if (named) { return named[0] + ' in the options'; }
    if (/liboneagent/.test(env.LD_PRELOAD || '')) { return 'Dynatrace in LD_PRELOAD'; }
    if (global._ddtrace) { return 'dd-trace'; }
    var api = typeof Symbol === 'function' && global[Symbol.for('opentelemetry.js.api.1')];
    if (api && api.trace) { return 'an OpenTelemetry SDK that is registered'; }
    var folders = nodeModules(process.cwd(), []);
    if (process.argv[1]) {
      var script = process.argv[1];
      try { script = fs.realpathSync(script); } catch (_) { /* named without its ending */ }
      nodeModules(path.dirname(script), folders);
    }
    for (var i = 0; i < folders.length; i++) {
      for (var j = 0; j < AGENTS.length; j++) {
        if (fs.existsSync(path.join(folders[i], AGENTS[j]))) { return AGENTS[j]; }
      }
      var kept = inStore(folders[i]);
      if (kept) { return kept; }
    }
    return null;
  }

  function reason() {
    if (on(env.OBTRACE_DISABLED)) { return 'OBTRACE_DISABLED'; }
    if (!/^https?:\/\/[^\/]/i.test(env.OBTRACE_INGEST_URL || '')) { return 'no OBTRACE_INGEST_URL'; }
    var version = process.versions.node.split('.');
    var major = Number(version[0]);
    if (major < 18 || (major === 18 && Number(version[1]) < 19)) { return 'Node.js ' + process.versions.node + ' is older than 18.19'; }
    if (TOOLS.test(path.basename(process.argv[1] || ''))) { return 'a package manager'; }
    if (global[MARK]) { return 'loaded already'; }
    if (!require('worker_threads').isMainThread) { return 'not the main thread'; }
    var other = agent();
    return other && 'the application has ' + other;
  }

  try {
    var why = reason();
    if (why) { return aside(why); }
    Object.defineProperty(global, MARK, { value: true });
    require(path.join(env.OBTRACE_AGENT_PATH || __dirname, 'obtrace-node.js')).start();
  } catch (error) {
    try { aside(error && error.message); } catch (_) { /* standard error is gone */ }
  }
})();
