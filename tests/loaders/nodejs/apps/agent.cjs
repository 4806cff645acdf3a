// An application that sets another vendor's agent up in its code: agent.cjs AGENT, then the words of script.cjs.
const [agent] = process.argv.splice(2, 1);

const setups = {
  none() {},
  'dd-trace': () => require('dd-trace').init(),
  newrelic: () => require('newrelic'),
  elastic: () => require('elastic-apm-node').start(),
  sentry: () => require('@sentry/node').init({ tracesSampleRate: 1 }),
  opentelemetry() {
    const { NodeSDK } = require('@opentelemetry/sdk-node');
    const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
    new NodeSDK({ instrumentations: [new HttpInstrumentation()] }).start();
  },
};
setups[agent]();
require('./script.cjs');
