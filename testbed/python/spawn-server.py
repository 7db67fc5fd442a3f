"""Starts a user's server as a JupyterHub would, by KubeSpawner itself, in the cluster of KUBECONFIG.

Arguments: the namespace, the user's name, the server's name (empty: the default one), and the pod's image and command as JSON.
Ends once the pod runs.
"""

import asyncio
import json
import sys

from jupyterhub.objects import Hub, Server
from jupyterhub.utils import url_escape_path, url_path_join
from kubespawner import KubeSpawner
from traitlets.config import Config


class User:
    """What a spawner asks of the hub's user."""

    id = 1

    def __init__(self, name):
        self.name = name
        self.escaped_name = url_escape_path(name)
        self.server = Server(base_url=url_path_join("/user", self.escaped_name, "/"))
        self.url = self.server.base_url
        self.settings = {}


class Named:
    """What it asks of the hub's record of the server."""

    server = None

    def __init__(self, name):
        self.name = name
        self.state = {}


async def main(namespace, user, server, spec):
    config = Config()
    config.KubeSpawner.update(namespace=namespace, start_timeout=60, **json.loads(spec))
    spawner = KubeSpawner(
        hub=Hub(ip="10.0.0.1"),
        user=User(user),
        config=config,
        api_token="unused",
        oauth_client_id="unused",
        orm_spawner=Named(server),
    )
    await spawner.start()


asyncio.run(main(*sys.argv[1:]))
