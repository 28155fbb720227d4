// Makes Locust's page open on our first tab. It reads the address before it draws anything.
(() => {
  const address = new URL(location.href);
  if (address.searchParams.has("tab")) return;
  address.searchParams.set("tab", "scalelag-replicas");
  history.replaceState(null, "", address);
})();
