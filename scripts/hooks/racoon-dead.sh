#!/bin/sh
# racoon runs it, by a link in the folder of its configuration, when the ISAKMP SA with the home agent is gone: the home agent
# does not answer or has ended it. watch.sh then runs the node's hook with "probe".
: >"${0%/*}/.sas-lost"
