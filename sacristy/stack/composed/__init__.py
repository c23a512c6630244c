"""The same stack as containers on one host: compose/. What differs from the embedded one is here."""
