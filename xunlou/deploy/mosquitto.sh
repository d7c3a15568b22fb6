#!/bin/sh
# The broker of docker-compose.yml:  mosquitto.sh PASSWORDS mosquitto -c CONFIGURATION
#
# Runs Mosquitto and has it read its files anew (SIGHUP) whenever the password file is another one;
# it then cuts off whoever has no account any more. Whoever writes the file needs no way to the
# broker's process, and the broker none to the register. Plain sh: the image has BusyBox.

passwords=$1
shift
child=
stopping=

trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child"' TERM INT
trap '[ -z "$child" ] || kill -HUP "$child"' HUP

pause() { sleep 1 & wait $!; }  # a signal ends the wait, not the sleep
read_now() { cksum <"$passwords" 2>/dev/null; }

# At the very first start nobody has written it yet.
until [ -s "$passwords" ]; do
  pause
  [ -z "$stopping" ] || exit 0
done

known=$(read_now)
# A SIGHUP that comes before Mosquitto is ready for it must not end it.
(trap '' HUP && exec "$@") &
child=$!

seconds=0
again=
while kill -0 "$child" 2>/dev/null; do
  pause
  seconds=$((seconds + 1))
  now=$(read_now)
  if [ -n "$now" ] && [ "$now" != "$known" ]; then
    known=$now
    kill -HUP "$child"
    [ "$seconds" -gt 30 ] || again=1
  elif [ -n "$again" ] && [ "$seconds" -ge 30 ]; then
    again=
    kill -HUP "$child"  # in case it was not ready the first time
  fi
done
wait "$child"
