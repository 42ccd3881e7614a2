// Run once against a socket that resets connections (selftest.py): each request must be sent once, each reset be told.
import http from 'k6/http';

export const options = { vus: 1, iterations: 1 };

export default function () {
  for (let i = 0; i < 20; i++) http.get('http://selftest/');
}
