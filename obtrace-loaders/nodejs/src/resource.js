'use strict';
// Who sends: CONTRACT.md, section 4. Nothing is asked of a network or a file, so that it costs nothing at the start.

const os = require('os');
const { randomUUID } = require('crypto');
const { version } = require('../package.json');

const FROM = {
  'deployment.environment.name': 'OBTRACE_ENVIRONMENT',
  'k8s.pod.name': 'OBTRACE_POD_NAME',
  'k8s.namespace.name': 'OBTRACE_POD_NAMESPACE',
  'k8s.node.name': 'OBTRACE_NODE_NAME',
};

/** `k=v,k=v` with percent-encoded values; pairs that cannot be read are left out. */
function pairs(text) {
  const found = {};
  for (const pair of (text || '').split(',')) {
    const at = pair.indexOf('=');
    const key = pair.slice(0, Math.max(at, 0)).trim();
    if (!key) continue;
    try {
      found[key] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      // Not percent-encoded as it should be.
    }
  }
  return found;
}

function runtime() {
  const { versions } = process;
  if (versions.bun) return ['bun', versions.bun];
  if (versions.deno) return ['deno', versions.deno];
  return ['nodejs', versions.node];
}

/** The attributes of this process's resource. */
function resource(env) {
  const attributes = pairs(env.OTEL_RESOURCE_ATTRIBUTES);
  const [name, release] = runtime();
  const service = env.OBTRACE_SERVICE_NAME || env.OTEL_SERVICE_NAME || attributes['service.name'];
  attributes['service.name'] = service || `unknown_service:${name === 'nodejs' ? 'node' : name}`;
  for (const key of Object.keys(FROM)) if (env[FROM[key]]) attributes[key] = env[FROM[key]];
  return Object.assign(attributes, {
    'service.instance.id': randomUUID(),
    'host.name': os.hostname(),
    'process.pid': process.pid,
    'process.runtime.name': name,
    'process.runtime.version': release,
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'obtrace',
    'telemetry.sdk.version': version,
    'telemetry.distro.name': 'obtrace-zero',
    'telemetry.distro.version': version,
  });
}

module.exports = { resource, version };
