"""How far apart countries are at least: what a card that exists only once needs to get from one to another.

Rules: the figure errs on the near side. A country counts as a disc around its middle (whole degrees), the distance is
the great circle between the discs' edges, so neighbours are at 0 km; speed is above that of any airliner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

EARTH_KM = 6371.0
SPEED_KMH = 1000.0
"""Faster than any airliner, with nothing added for the way to it."""
_RADIUS_KM = 500.0
"""Of a country that `_LARGE` does not name; nearer than most borders of most countries, on purpose."""
_LARGE = {
    "RU": 4500, "CA": 3000, "US": 3500, "CN": 2600, "BR": 2300, "AU": 2200, "AQ": 3000, "IN": 1700, "AR": 2000,
    "KZ": 1600, "DZ": 1300, "CD": 1300, "GL": 1500, "SA": 1200, "MX": 1700, "ID": 2700, "SD": 1000, "LY": 1000,
    "IR": 1100, "MN": 1300, "PE": 1100, "TD": 1000, "NE": 1000, "AO": 900, "ML": 1000, "ZA": 1000, "CO": 1000,
    "ET": 900, "BO": 900, "MR": 900, "EG": 900, "TZ": 800, "NG": 800, "VE": 900, "PK": 1000, "CL": 2200, "MM": 1000,
    "NO": 1300, "SE": 900, "FI": 800, "FR": 800, "JP": 1500, "TR": 900, "UA": 800, "NA": 900, "MZ": 1200, "ZM": 800,
    "MG": 900, "KE": 700, "TH": 900, "ES": 800, "VN": 1000, "MY": 1100, "PH": 1000, "PG": 1000, "NZ": 900, "IT": 700,
    "SO": 1000, "AF": 800, "YE": 800, "CF": 800, "GB": 700, "KI": 2500, "PF": 1500, "FM": 1500, "UM": 6000,
    "TF": 3000, "SJ": 700, "MH": 800, "SC": 900, "SB": 800, "PT": 1600, "EC": 1300,
}  # fmt: skip
_MIDDLES = """
AD 43 2 AE 24 54 AF 34 66 AG 17 -62 AI 18 -63 AL 41 20 AM 40 45 AO -12 18 AQ -85 0 AR -35 -65 AS -14 -171 AT 48 14
AU -25 134 AW 12 -70 AX 60 20 AZ 40 48 BA 44 18 BB 13 -60 BD 24 90 BE 51 4 BF 12 -2 BG 43 25 BH 26 51 BI -3 30
BJ 10 2 BL 18 -63 BM 32 -65 BN 5 115 BO -17 -65 BQ 12 -68 BR -10 -53 BS 24 -77 BT 27 90 BV -54 3 BW -22 24
BY 53 28 BZ 17 -89 CA 60 -98 CC -12 97 CD -3 23 CF 7 21 CG -1 15 CH 47 8 CI 8 -6 CK -21 -160 CL -35 -71 CM 6 13
CN 36 104 CO 4 -73 CR 10 -84 CU 22 -79 CV 16 -24 CW 12 -69 CX -10 106 CY 35 33 CZ 50 15 DE 51 10 DJ 12 43 DK 56 10
DM 15 -61 DO 19 -71 DZ 28 3 EC -1 -79 EE 59 26 EG 27 30 EH 24 -13 ER 15 39 ES 40 -4 ET 9 40 FI 64 26 FJ -18 178
FK -52 -59 FM 7 155 FO 62 -7 FR 46 2 GA -1 12 GB 54 -2 GD 12 -62 GE 42 43 GF 4 -53 GG 49 -3 GH 8 -1 GI 36 -5
GL 72 -40 GM 13 -15 GN 10 -11 GP 16 -62 GQ 2 10 GR 39 22 GS -54 -37 GT 16 -90 GU 13 145 GW 12 -15 GY 5 -59
HK 22 114 HM -53 73 HN 15 -87 HR 45 16 HT 19 -73 HU 47 19 ID -2 118 IE 53 -8 IL 31 35 IM 54 -5 IN 22 79 IO -6 72
IQ 33 44 IR 32 54 IS 65 -19 IT 42 12 JE 49 -2 JM 18 -77 JO 31 36 JP 36 138 KE 0 38 KG 41 75 KH 13 105 KI 0 -168
KM -12 43 KN 17 -63 KP 40 127 KR 36 128 KW 29 48 KY 19 -81 KZ 48 67 LA 18 104 LB 34 36 LC 14 -61 LI 47 10 LK 8 81
LR 6 -9 LS -30 28 LT 55 24 LU 50 6 LV 57 25 LY 27 17 MA 32 -6 MC 44 7 MD 47 29 ME 43 19 MF 18 -63 MG -19 47
MH 7 171 MK 42 22 ML 17 -4 MM 21 96 MN 47 103 MO 22 114 MP 15 146 MQ 15 -61 MR 20 -10 MS 17 -62 MT 36 14 MU -20 57
MV 3 73 MW -13 34 MX 24 -102 MY 4 109 MZ -17 35 NA -22 17 NC -21 165 NE 17 9 NF -29 168 NG 10 8 NI 13 -85 NL 52 5
NO 65 13 NP 28 84 NR -1 167 NU -19 -170 NZ -42 172 OM 21 57 PA 9 -80 PE -9 -74 PF -17 -149 PG -6 145 PH 12 122
PK 30 69 PL 52 19 PM 47 -56 PN -24 -128 PR 18 -66 PS 32 35 PT 39 -10 PW 7 134 PY -23 -58 QA 25 51 RE -21 56
RO 46 25 RS 44 21 RU 60 95 RW -2 30 SA 24 45 SB -9 160 SC -5 55 SD 15 30 SE 62 16 SG 1 104 SH -16 -6 SI 46 15
SJ 78 16 SK 49 19 SL 9 -12 SM 44 12 SN 14 -14 SO 5 46 SR 4 -56 SS 7 30 ST 1 7 SV 14 -89 SX 18 -63 SY 35 39
SZ -27 31 TC 22 -72 TD 15 19 TF -45 60 TG 8 1 TH 15 101 TJ 39 71 TK -9 -172 TL -9 126 TM 39 59 TN 34 10 TO -20 -175
TR 39 35 TT 10 -61 TV -8 178 TW 24 121 TZ -6 35 UA 49 31 UG 1 32 UM 10 -170 US 40 -100 UY -33 -56 UZ 42 63 VA 42 12
VC 13 -61 VE 7 -66 VG 18 -65 VI 18 -65 VN 16 106 VU -16 168 WF -14 -177 WS -14 -172 YE 16 48 YT -13 45 ZA -29 25
ZM -13 28 ZW -19 30
"""
_PARTS = _MIDDLES.split()
MIDDLES = {code: (int(lat), int(lon)) for code, lat, lon in zip(*(iter(_PARTS),) * 3, strict=True)}
"""Latitude and longitude, in degrees, of every country of ISO 3166-1."""


def least_km(here: str, there: str) -> float:
    """Kilometres between the nearest points of two countries, or less."""
    (lat1, lon1), (lat2, lon2) = (map(math.radians, MIDDLES[code]) for code in (here, there))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    apart = 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))
    return max(0.0, apart - sum(_LARGE.get(code, _RADIUS_KM) for code in (here, there)))


def least_hours(countries: Sequence[str], cards: int) -> float:
    """Hours that one of so many cards travels at least, if together they are used in all of the countries.

    The countries fall into `cards` groups, one per card, which are joined as cheaply as can be (Kruskal): a card's
    way is at least as long as the links of its group, and the average card has no more than the one with the longest.
    """
    links = sorted((least_km(a, b), a, b) for place, a in enumerate(countries) for b in countries[:place])
    group = {country: country for country in countries}
    total, joined = 0.0, len(countries)
    for km, a, b in links:
        if joined <= cards:
            break
        if group[a] != group[b]:
            old, joined, total = group[b], joined - 1, total + km
            group = {country: group[a] if name == old else name for country, name in group.items()}
    return total / cards / SPEED_KMH
