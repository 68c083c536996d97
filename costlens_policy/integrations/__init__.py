"""Where the traffic is: wrapped SDK clients, ASGI, LangChain, pytest, gateways. The guard decides and counts.

Each module imports the library that it is for when it is used, so that none of them has to be installed.
"""
