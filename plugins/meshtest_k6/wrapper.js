// What k6 is given in place of the user's script: gives each request an id that hops are found by, and tells who served it.
// k6 has no option for either. Methods of the module k6/http are replaced before the user's script is loaded, so both
// `http.get(...)` and `import { get } from 'k6/http'` come here. setup() and teardown() are no users: left alone.
import http from 'k6/http';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

const served = new Counter('meshtest_served');
const load = __ENV.MESHTEST_LOAD;
let count = 0;

const isObject = (value) => value !== null && typeof value === 'object';

function next() {
  const vu = exec.vu.idInTest;
  if (!vu) return null;
  const number = count++;
  return { key: `${vu}-${number}-${Date.now()}`, index: (vu - 1) * 16777216 + number };
}

function marked(params, id, tagged) {
  const given = isObject(params) ? params : {};
  const result = Object.assign({}, given);
  result.headers = Object.assign({}, given.headers, { 'x-meshtest-id': `${load}-${id.index}` });
  if (tagged) result.tags = Object.assign({}, given.tags, { meshtest: id.key });
  return result;
}

function tell(id, response) {
  const headers = (response && response.headers) || {};
  const length = parseInt(headers['Content-Length'] || '', 10);
  const size = isNaN(length) ? ((response && response.body && response.body.length) || 0) : length;
  const metadata = exec.vu.metrics.metadata;
  metadata.meshtest = id.key;
  served.add(size, { by: headers['X-Meshtest-Served-By'] || '', attempts: headers['X-Envoy-Attempt-Count'] || '' });
  delete metadata.meshtest;
}

// One request at a time: its id travels as metadata, which costs k6 no time series.
function patch(name, place) {
  const original = http[name];
  http[name] = function (...given) {
    const id = next();
    if (id === null) return original.apply(this, given);
    given[place] = marked(given[place], id, false);
    exec.vu.metrics.metadata.meshtest = id.key;
    let response = null;
    try {
      response = original.apply(this, given);
      return response;
    } finally {
      tell(id, response);
    }
  };
}

for (const [name, place] of [['get', 1], ['head', 1], ['post', 2], ['put', 2], ['patch', 2], ['del', 2], ['options', 2], ['request', 3]]) {
  patch(name, place);
}

// Several at once: metadata belongs to the virtual user, so the id is a tag.
const asyncRequest = http.asyncRequest;
http.asyncRequest = function (...given) {
  const id = next();
  if (id === null) return asyncRequest.apply(this, given);
  given[3] = marked(given[3], id, true);
  return asyncRequest.apply(this, given).then(
    (response) => { tell(id, response); return response; },
    (error) => { tell(id, null); throw error; },
  );
};

function numbered(request, id) {
  if (typeof request === 'string') return { method: 'GET', url: request, params: marked(null, id, true) };
  if (Array.isArray(request)) return [request[0], request[1], request[2], marked(request[3], id, true)];
  return Object.assign({}, request, { params: marked(request.params, id, true) });
}

const batch = http.batch;
http.batch = function (requests) {
  if (!exec.vu.idInTest || !isObject(requests)) return batch.call(this, requests);
  const names = Object.keys(requests);
  const ids = names.map(next);
  const given = Array.isArray(requests) ? [] : {};
  names.forEach((name, i) => { given[name] = numbered(requests[name], ids[i]); });
  let responses = {};
  try {
    responses = batch.call(this, given);
    return responses;
  } finally {
    names.forEach((name, i) => tell(ids[i], responses[name]));
  }
};
