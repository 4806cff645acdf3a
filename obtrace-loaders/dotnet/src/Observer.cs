using System;
using System.Collections.Generic;
using System.Diagnostics;

namespace Obtrace.Zero
{
    /// <summary>Listens to one DiagnosticListener. What goes wrong in here stays here.</summary>
    internal abstract class Observer : IObserver<KeyValuePair<string, object>>
    {
        /// <summary>The listeners of the process, those that come later too.</summary>
        public static void SubscribeAll()
        {
            DiagnosticListener.AllListeners.Subscribe(new Finder());
        }

        private sealed class Finder : IObserver<DiagnosticListener>
        {
            public void OnNext(DiagnosticListener listener)
            {
                try
                {
                    Observer observer = For(listener.Name);
                    if (observer != null)
                    {
                        listener.Subscribe(observer, observer.IsWanted);
                    }
                }
                catch (Exception error)
                {
                    Debug.Failed("listening to " + listener.Name, error);
                }
            }

            private static Observer For(string name)
            {
                switch (name)
                {
                    case "HttpHandlerDiagnosticListener": return new HttpClientObserver();
                    case "Microsoft.AspNetCore": return new AspNetCoreObserver();
                    case "SqlClientDiagnosticListener": return new SqlClientObserver();
                    case "Microsoft.EntityFrameworkCore": return new EntityFrameworkObserver();
                    default: return null;
                }
            }

            public void OnCompleted()
            {
            }

            public void OnError(Exception error)
            {
            }
        }

        /// <summary>Is the event worth making? Asked before it is made, with the subject of it where the maker has one.</summary>
        protected abstract bool Wants(string name, object subject, object other);

        private bool IsWanted(string name, object subject, object other)
        {
            return !Agent.Retired && Wants(name, subject, other);
        }

        protected abstract void On(string name, object payload);

        public void OnNext(KeyValuePair<string, object> item)
        {
            try
            {
                if (!Agent.Retired)
                {
                    On(item.Key, item.Value);
                }
            }
            catch (Exception error)
            {
                Debug.Failed(item.Key, error);
            }
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }
    }
}
