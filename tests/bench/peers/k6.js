// One GET, again and again: told by the environment how often, by whom, and for how long.
import http from 'k6/http';

const { PORT, RATE, USERS = '1', SECONDS = '1', REQUESTS, TIMEOUT, SUMMARY } = __ENV;
const end = { gracefulStop: '2s' };
const scenario = RATE
  ? { executor: 'constant-arrival-rate', rate: Number(RATE), timeUnit: '1s', duration: `${SECONDS}s`,
      preAllocatedVUs: Number(USERS), maxVUs: Number(USERS), ...end }
  : Number(REQUESTS)
    ? { executor: 'shared-iterations', vus: Number(USERS), iterations: Number(REQUESTS), ...end }
    : { executor: 'constant-vus', vus: Number(USERS), duration: `${SECONDS}s`, ...end };

export const options = {
  scenarios: { bench: scenario },
  discardResponseBodies: true,
  summaryTrendStats: ['p(99)'],
};

export default function () {
  http.get(`http://127.0.0.1:${PORT}/`, { timeout: TIMEOUT });
}

export function handleSummary(data) {
  return SUMMARY ? { [SUMMARY]: JSON.stringify(data.metrics) } : {};
}
