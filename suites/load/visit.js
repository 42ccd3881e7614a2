// A k6 script as one has it.
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = { vus: 5, duration: '30s' };

export default function () {
  check(http.get('http://web/'), { 'is answered': (response) => response.status === 200 });
  sleep(0.03);
}
