// k6's open loop: RATE requests a second for SECONDS. The server counts.
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
