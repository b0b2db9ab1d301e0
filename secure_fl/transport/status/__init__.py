"""What a gateway shows to people: who is there, what is waited for, what is finished, on a page that keeps itself new.

chronicle    is told what happens, by coordinator and service; `Status` is what it makes of that and of the post
snapshot     `Status`: names, numbers, moments and reasons; no payload, weight or key has a place in it
page         the same as HTML
watching     /status and /status/events, for those who may see them
local        the two on a port of their own, for a browser on the gateway's machine
"""
