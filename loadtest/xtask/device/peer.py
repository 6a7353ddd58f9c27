"""The same display as people usually write it: luma.oled and requests.

Usage: peer.py URL CERTIFICATE. Fetches the quote, draws it with a clock, and looks again each
minute.
"""

import sys
import textwrap
import time

import requests
from luma.core.interface.serial import i2c
from luma.core.render import canvas
from luma.oled.device import ssd1306

session = requests.Session()
# What the machine's environment says of certificates would win over the line that follows.
session.trust_env = False
session.verify = sys.argv[2]
session.headers["Authorization"] = "Bearer AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
device = ssd1306(i2c(port=1, address=0x3C))
headers, quote = {}, None
while True:
    reply = session.get(sys.argv[1], headers=headers, timeout=10)
    if reply.status_code == 200:
        quote, headers = reply.json(), {"If-None-Match": reply.headers["ETag"]}
    with canvas(device) as draw:
        for row, line in enumerate(textwrap.wrap(quote["text"], 21)[:5]):
            draw.text((0, row * 10), line, fill="white")
        draw.text((0, 54), quote["author"] + time.strftime("  %H:%M"), fill="white")
    time.sleep(60 - time.time() % 60)
