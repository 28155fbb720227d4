// k6's open loop: RATE requests a second for SECONDS, and its counts as JSON into SUMMARY.
import http from "k6/http";

const rate = Number(__ENV.RATE);
// Room for 200 ms in which nothing is answered; all are there before the first request.
const users = Math.max(20, Math.ceil(rate / 5));

export const options = {
  discardResponseBodies: true,
  scenarios: {
    arrivals: {
      executor: "constant-arrival-rate",
      rate: rate,
      timeUnit: "1s",
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: users,
      maxVUs: users,
    },
  },
};

export default function () {
  http.get(__ENV.URL);
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
