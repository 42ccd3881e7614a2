"""The checks, one family a module; importing this package registers all of them."""

from meshtest.preflight.checks import balancing as balancing
from meshtest.preflight.checks import canaries as canaries
from meshtest.preflight.checks import canary_links as canary_links
from meshtest.preflight.checks import canary_metrics as canary_metrics
from meshtest.preflight.checks import conditions as conditions
from meshtest.preflight.checks import conflicts as conflicts
from meshtest.preflight.checks import credentials as credentials
from meshtest.preflight.checks import deprecated as deprecated
from meshtest.preflight.checks import destinations as destinations
from meshtest.preflight.checks import envoy_filters as envoy_filters
from meshtest.preflight.checks import gateways as gateways
from meshtest.preflight.checks import grants as grants
from meshtest.preflight.checks import injection as injection
from meshtest.preflight.checks import ordering as ordering
from meshtest.preflight.checks import pods as pods
from meshtest.preflight.checks import policies as policies
from meshtest.preflight.checks import ports as ports
from meshtest.preflight.checks import routes as routes
from meshtest.preflight.checks import schemas as schemas
from meshtest.preflight.checks import service_entries as service_entries
from meshtest.preflight.checks import sidecars as sidecars
from meshtest.preflight.checks import subsets as subsets
from meshtest.preflight.checks import telemetry as telemetry
from meshtest.preflight.checks import tls as tls
from meshtest.preflight.checks import unreachable as unreachable
