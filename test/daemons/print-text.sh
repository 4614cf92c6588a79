#!/bin/sh
printf '%s\n' "$TEXT"
