"""An autoscaling policy of an application, as a user might write it."""

import math


def one_for_four_requests(contexts):
    """Return one replica for each four open requests of each deployment, and no state."""
    wanted = {
        deployment: max(1, math.ceil(context.total_num_requests / 4))
        for deployment, context in contexts.items()
    }
    return wanted, {}
